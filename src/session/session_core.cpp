#include "session/session_core.hpp"

#include "failure.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace contrail::detail {

using namespace std::chrono_literals;

std::shared_ptr<session_core> session_core::make(engine& from, const session_options& options, const strand_type& strand) {
  auto core = std::make_shared<session_core>(from, options);
  core->strand_ = kept_strand::make(strand);
  core->strand_->on_gone([weak = std::weak_ptr(core)] {
    if (const auto alive = weak.lock()) alive->context_gone();
  });
  return core;
}

session_core::session_core(engine& from, const session_options& o)
    : options(o), traits(from.traits()), counters(o.progress != nullptr ? *o.progress : own_progress), scope_(engine_access::scope(from)) {
  by_logs = traits.incremental && is_chained(o.what);
}

session_core::~session_core() {
  release();
  strand_->close();
}

session_facts session_core::facts() const {
  session_facts f;
  f.incremental = by_logs;
  f.stopped = stopped_.load();
  f.busy = busy;
  f.file_open = file != nullptr;
  f.logs_prepared = logs_prepared;
  // An empty range proves nothing by itself: there may be labels, which only copy_logs knows.
  f.logs_copied = logs_copied_whole || (logs_prepared && !logs.copy.empty() && logs_read.covers(logs.copy));
  return f;
}

void session_core::emit(int number, std::string_view text, std::error_code ec) const noexcept {
  if (options.events == nullptr) return;
  contrail::event out;
  out.number = number;
  out.what = options.what;
  out.text = text;
  out.ec = ec;
  options.events->on_event(out);
}

// --- calls

session_core::call_guard::call_guard(std::shared_ptr<session_core> c, std::shared_ptr<call_control> control, sort s)
    : core(std::move(c)), control_(std::move(control)), sort_(s) {}

void session_core::call_guard::enter() {
  entered_ = true;
  ++core->holders_;
  if (sort_ == sort::outside) return;
  ++core->inside_;
  if (sort_ == sort::call) core->calls_.push_back(this);
}

session_core::call_guard::~call_guard() {
  if (!entered_) return;
  --core->holders_;
  if (sort_ != sort::outside) {
    --core->inside_;
    core->calls_.remove(this);
    core->idle_.notify();
  }
  if (core->dead_ && core->holders_ == 0) core->release();
}

void session_core::cancel_calls() {
  // Cancelling may end a call, and so change the list.
  std::vector<std::shared_ptr<call_control>> controls;
  for (const call_guard* g : calls_) controls.push_back(g->control_);
  for (const auto& c : controls)
    if (c) c->cancel();
}

// --- stop

void session_core::stop_with(errc code, std::string text) {
  {
    const std::lock_guard lock(reason_mutex_);
    if (reason_ != errc{}) return;
    reason_ = code;
    reason_text_ = std::move(text);
  }
  stopped_.store(true);
  strand_->post([self = shared_from_this()] { self->cancel_calls(); });
}

void session_core::lost(std::error_code why) { stop_with(errc::backup_abort_by_server, "the engine let go: " + why.message()); }

void session_core::throw_stopped(std::string_view operation) const {
  errc code{};
  std::string text;
  {
    const std::lock_guard lock(reason_mutex_);
    code = reason_;
    text = reason_text_;
  }
  fail(code, std::string(operation), {}, {}, {}, std::move(text));
}

std::chrono::nanoseconds session_core::age() const {
  // The steady clock stands still while the system sleeps, the wall clock may be set back: whichever shows more.
  const std::chrono::nanoseconds wall = std::chrono::system_clock::now() - began_wall_;
  const std::chrono::nanoseconds steady = std::chrono::steady_clock::now() - began_steady_;
  return std::max(wall, steady);
}

bool session_core::limits_reached() {
  if (!pin || closing || stopped_.load()) return stopped_.load();
  if (options.max_pin_age > 0s && age() >= options.max_pin_age) {
    stop_with(errc::pin_too_old, "more than " + std::to_string(options.max_pin_age.count()) +
                                     " s; allow a longer time, or copy faster: nothing was kept");
    return true;
  }
  if (options.max_log_growth != 0) {
    const pin_cost cost = pin->cost();
    if (cost.log_bytes > options.max_log_growth) {
      stop_with(errc::pin_too_large, std::to_string(cost.log_bytes) + " bytes of log, allowed are " +
                                         std::to_string(options.max_log_growth) + ": nothing was kept");
      return true;
    }
  }
  return false;
}

void session_core::note_begin() {
  began_wall_ = std::chrono::system_clock::now();
  began_steady_ = std::chrono::steady_clock::now();
}

void session_core::start_watch() {
  if (options.max_pin_age <= 0s && options.max_log_growth == 0) return;
  const auto on = strand();
  if (!on) return;
  watching_ = true;
  auto finish = [self = shared_from_this()](std::exception_ptr) {
    self->watching_ = false;
    self->idle_.notify();
  };
  asio::co_spawn(*on, watch(shared_from_this()), asio::bind_cancellation_slot(watch_signal_.slot(), std::move(finish)));
}

asio::awaitable<void> session_core::watch(std::shared_ptr<session_core> core) {
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex);
  for (;;) {
    std::chrono::nanoseconds next = 500ms;
    if (core->options.max_pin_age > 0s) next = std::clamp<std::chrono::nanoseconds>(core->options.max_pin_age - core->age(), 10ms, next);
    timer.expires_after(next);
    const auto [ec] = co_await timer.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    if (ec || core->closing || core->stopped()) co_return;
    const bool reached = core->limits_reached();
    if (reached) co_return;
  }
}

// --- the end

asio::awaitable<std::error_code> session_core::shut_down(std::shared_ptr<session_core> core, unsigned own, ending how) {
  const auto disabled = asio::disable_cancellation();
  co_await asio::this_coro::reset_cancellation_state(disabled);
  std::error_code recorded;
  if (core->closed()) co_return recorded;
  if (core->closing) {
    // Somebody else is at it. A call inside must not wait: it is what they wait for.
    while (own == 0 && !core->closed()) co_await core->all_closed_.wait();
    co_return recorded;
  }
  core->closing = true;
  const bool had_pin = core->pin != nullptr;
  core->state = session_state::none;
  core->cancel_calls();   // not the one that brought this about: its cancellation is disabled
  while (core->inside_ > own) co_await core->idle_.wait();
  core->watch_signal_.emit(asio::cancellation_type::terminal);
  while (core->watching_) co_await core->idle_.wait();

  core->file.reset();
  core->log_cursor.reset();
  if (core->pin) {
    if (how.commit && core->traits.records) {
      outcome result;
      result.what = core->options.what;
      result.logs = core->logs.copy;
      result.truncated = core->truncated;
      for (std::size_t i = 0; i < core->databases.size(); ++i)
        if (core->done[i] == database_state::complete) result.complete.push_back(core->databases[i].id);
      try {
        co_await core->pin->record(result);
      } catch (...) {
        recorded = code_of(std::current_exception());
      }
    }
    std::error_code released;
    try {
      co_await core->pin->end(how.commit);
    } catch (...) {
      released = code_of(std::current_exception());   // the destructor frees what is left
    }
    if (how.commit && !recorded) recorded = released;
  }
  core->release();
  if (recorded) core->emit(event_number::record_failed, "the backup is good, but could not be recorded", recorded);
  if (had_pin && how.event != 0) core->emit(how.event, "backup ended", how.why);
  core->closed_.store(true);
  core->all_closed_.notify();
  co_return recorded;
}

void session_core::release() noexcept {
  file.reset();
  log_cursor.reset();
  pin.reset();
  claim.reset();
  state = session_state::none;
}

void session_core::context_gone() noexcept {
  dead_ = true;
  closed_.store(true);
  if (holders_ == 0) release();
}

namespace {

asio::awaitable<void> clean_up(std::shared_ptr<call_guard> in, std::shared_ptr<session_scope::entry> running) {
  static_cast<void>(running);
  in->enter();
  session_core::ending how;
  how.event = event_number::ended_by_caller;
  how.why = make_error_code(errc::backup_abort_by_caller);
  const std::error_code ignored = co_await session_core::shut_down(in->core, 0, how);
  static_cast<void>(ignored);
}

}  // namespace

void session_core::orphan(const std::shared_ptr<session_core>& core) noexcept {
  if (!core || core->closed()) return;
  try {
    core->stop_with(errc::backup_abort_by_caller, "the session was destroyed");
    const auto on = core->strand();
    if (!on) return;
    auto running = std::make_shared<session_scope::entry>(core->scope_);
    auto in = std::make_shared<call_guard>(core, nullptr, call_guard::sort::outside);
    asio::co_spawn(*on, clean_up(std::move(in), std::move(running)), [](std::exception_ptr) {});
  } catch (...) {
    // No memory for the clean-up: the pin's destructor is what is left, when the last call has gone.
  }
}

}  // namespace contrail::detail
