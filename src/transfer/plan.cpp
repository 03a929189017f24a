#include "transfer/plan.hpp"

#include "failure.hpp"

#include <contrail/error.hpp>

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <string>

namespace contrail::detail {
namespace {

bool has_content(const file_info& info) noexcept { return info.role != file_role::directory && info.role != file_role::link; }

/// The next file's description into `again`; false when the list is at its end.
asio::awaitable<bool> list_next(std::shared_ptr<transfer_state> state) {
  if (state->list_failure) std::rethrow_exception(state->list_failure);
  while (state->batch.empty() && !state->listed_all) {
    std::vector<file_info> more;
    try {
      std::vector<file_info> listed = co_await state->list->next();
      more = std::move(listed);
    } catch (...) {
      // Kept, whatever else happens meanwhile: a list that failed once may well say "end" when it is asked again.
      state->list_failure = std::current_exception();
    }
    if (state->list_failure) std::rethrow_exception(state->list_failure);
    state->listed_all = more.empty();
    for (file_info& f : more) {
      state->job.counters.bytes_total.fetch_add(f.bytes, std::memory_order_relaxed);
      state->batch.push_back(std::move(f));
    }
  }
  if (state->batch.empty()) co_return false;
  state->again.emplace_back(std::move(state->batch.front()), 0U);
  state->batch.pop_front();
  co_return true;
}

/// Opens the file at the front of `again` and makes it current.
asio::awaitable<void> open_next(std::shared_ptr<transfer_state> state, std::size_t capacity) {
  transfer_state::pending next = std::move(state->again.front());
  state->again.pop_front();
  const auto record = std::make_shared<file_record>(std::move(next.info), next.restarts);
  // On the list before it is open: a restart that comes meanwhile must find it.
  state->outstanding.push_back(record);
  state->current = record;
  const std::uint64_t epoch = state->epoch;
  if (record->info.unchanged) {
    fail(errc::invalid_backup, "copy file", record->info.name, {}, "a file with content", "one that only the parent set holds");
  }
  if (!has_content(record->info)) co_return;
  std::unique_ptr<contrail::source> opened = co_await state->job.from.open(record->info);
  if (state->epoch != epoch) co_return;
  record->bytes = opened->bytes();
  record->trailer = opened->trailer_bytes();
  const std::size_t unit = std::max<std::size_t>(opened->granularity(), 1);
  record->source = std::move(opened);
  if (capacity < unit || capacity < record->trailer) {
    fail(errc::invalid_parameter, "copy file", record->info.name, {}, "buffers of " + std::to_string(std::max(unit, record->trailer)) + " bytes",
         std::to_string(capacity) + " bytes: give the backup more memory");
  }
}

asio::awaitable<void> pace(std::shared_ptr<transfer_state> state, std::uint64_t bytes) {
  const auto wait = state->job.pace.reserve(bytes, rate_limiter::clock::now());
  if (wait <= rate_limiter::clock::duration::zero()) co_return;
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex);
  timer.expires_after(wait);
  co_await timer.async_wait(asio::use_awaitable);
}

ticket numbered(transfer_state& state) {
  ticket t;
  t.number = state.next_ticket++;
  t.epoch = state.epoch;
  t.file = state.current;
  return t;
}

}  // namespace

asio::awaitable<bool> was_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

asio::awaitable<std::optional<ticket>> take_ticket(std::shared_ptr<transfer_state> state, std::size_t capacity) {
  async_mutex::guard mine = co_await state->planning.lock();
  std::optional<ticket> out;
  while (!state->plan_failed) {
    if (state->job.check) state->job.check();
    std::uint64_t epoch = state->epoch;

    if (!state->current) {
      std::exception_ptr failure;
      bool more = true;
      try {
        if (state->again.empty()) {
          const bool listed = co_await list_next(state);
          more = listed || !state->again.empty();
        }
        epoch = state->epoch;
        if (more) co_await open_next(state, capacity);
      } catch (...) {
        failure = std::current_exception();
      }
      if (failure) {
        const bool cancelled = co_await was_cancelled();
        if (cancelled) std::rethrow_exception(failure);
      }
      if (state->epoch != epoch) continue;   // what was opened, or failed to open, is void
      if (failure) {
        // Gone before it was opened, and that is allowed: nobody has heard of it yet.
        if (state->current && state->current->info.may_vanish && code_of(failure) == errc::file_vanished) {
          const auto gone = state->current;
          forget_file(*state, gone);
          continue;
        }
        state->plan_failed = true;
        out = numbered(*state);
        out->error = failure;
        co_return out;
      }
      if (!more) co_return out;
    }

    const auto file = state->current;
    if (file->ended) file->bytes = file->planned;
    const std::size_t unit = file->source ? std::max<std::size_t>(file->source->granularity(), 1) : 1;
    const std::uint64_t chunk = std::min<std::uint64_t>(capacity - capacity % unit, file->bytes - file->planned);
    const bool body_done = file->planned + chunk == file->bytes;
    // The trailer needs room behind the body; where there is none it gets a ticket, and so a buffer, of its own.
    const bool last = body_done && chunk + file->trailer <= capacity;
    const std::uint64_t moved = last ? chunk + file->trailer : chunk;
    co_await pace(state, moved);
    const bool cut_short = file->ended && file->bytes != file->planned;   // found out meanwhile
    if (state->epoch != epoch || state->current != file || cut_short) continue;

    out = numbered(*state);
    out->offset = file->planned;
    out->bytes = static_cast<std::size_t>(chunk);
    out->last = last;
    file->planned += chunk;
    if (last) state->current = nullptr;
    co_return out;
  }
  co_return out;
}

void rewind_plan(transfer_state& state, const std::shared_ptr<file_record>& from) {
  ++state.epoch;
  state.plan_failed = false;
  state.current = nullptr;
  // Nothing behind `from` was delivered, for it is its turn; all of it is planned again, in the same order.
  while (!state.outstanding.empty()) {
    const auto record = state.outstanding.back();
    state.outstanding.pop_back();
    state.again.emplace_front(record->info, record == from ? record->restarts + 1 : record->restarts);
    if (record == from) break;
  }
}

void forget_file(transfer_state& state, const std::shared_ptr<file_record>& file) {
  file->gone = true;
  if (state.current == file) state.current = nullptr;
  const auto at = std::find(state.outstanding.begin(), state.outstanding.end(), file);
  if (at != state.outstanding.end()) state.outstanding.erase(at);
}

}  // namespace contrail::detail
