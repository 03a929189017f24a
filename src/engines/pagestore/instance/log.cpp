#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/log_record.hpp"

#include <contrail/error.hpp>
#include "async/task_group.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>

// How the instance uses its log: room, rolls, records of its own.
namespace contrail::pagestore {

namespace {

constexpr std::chrono::seconds prepare_pause{1};

asio::awaitable<void> raise_max(std::shared_ptr<open_database> d, std::shared_ptr<log_stream> log) {
  const std::function<void(database_header&)> change = [log](database_header& h) {
    if (h.state != database_state::dirty) return;
    h.max_required = std::max(h.max_required, log->generation());
    h.max_committed = h.max_required;
  };
  co_await d->file.update(change);
}

}  // namespace

std::uint64_t instance_core::log_ahead() const noexcept {
  const lgpos tip = log_->tip();
  if (tip <= published_) return 0;
  const std::uint64_t generations = tip.generation() - published_.generation();
  return generations * how_.log_file_size + tip.offset() - published_.offset();
}

// Until records of so many bytes fit; rolls, and waits for the checkpoint where recovery would have too much to read.
asio::awaitable<void> instance_core::wait_for_log(std::size_t bytes, log_stream::reserve keep) {
  while (true) {
    if (dead_) require_running();
    if (keep == log_stream::reserve::engine) require_running();
    if (keep == log_stream::reserve::engine && log_ahead() >= how_.checkpoint_depth) {
      const std::uint64_t seen = rounds_done_;
      round_wanted_ = true;
      round_asked_.notify();
      while (rounds_done_ == seen && !dead_ && state_ == state::running) co_await round_done_.wait();
      if (round_failure_) fail(round_failure_, "commit", {}, {}, "a checkpoint", "none can be made; recovery would have too much to read");
      continue;
    }
    if (keep == log_stream::reserve::engine && log_->waiting() >= how_.log_buffer) {
      const lgpos tip = log_->tip();
      co_await log_->settle(tip);
      continue;
    }
    if (log_->fits(bytes, keep)) co_return;
    const std::uint32_t generation = log_->generation();
    co_await roll_over(generation);
  }
}

// Ends the generation, if it is still that one.
asio::awaitable<void> instance_core::roll_over(std::uint32_t generation) {
  const detail::async_mutex::guard mine = co_await rolling_.lock();
  if (log_->generation() == generation) co_await begin_generation();
}

// Ends the generation, and begins the next one with this record, before anybody else's. Where it stands.
asio::awaitable<lgpos> instance_core::roll_to(std::function<std::vector<std::byte>()> first_record) {
  const detail::async_mutex::guard mine = co_await rolling_.lock();
  co_await begin_generation();
  std::vector<std::byte> record = first_record();
  co_return log_->append(record);
}

asio::awaitable<void> instance_core::begin_generation() {
  if (dead_) require_running();
  // A function with a name: see the compiler's faults with temporaries beside co_await.
  std::function<std::vector<attached_database>()> list = [this] { return attached_list(); };
  co_await log_->roll(std::move(list));
  std::exception_ptr failure;
  try {
    // Before anything of the new generation is confirmed: its loss would be noticed by these.
    const auto ex = co_await asio::this_coro::executor;
    detail::task_group group(ex);
    for (const auto& [id, d] : databases_) {
      if (d->attached) group.spawn(raise_max(d, log_));
    }
    co_await group.join();
  } catch (const std::system_error& e) {
    failure = std::current_exception();
    lost(e.code());
  }
  if (failure) std::rethrow_exception(failure);
  log_->open_again();
  ++sums_.rolls;
  log_written_ += how_.log_file_size;
  prepare_wanted_ = true;
  prepare_asked_.notify();
}

asio::awaitable<lgpos> instance_core::append_own(std::vector<std::byte> record, bool durable) {
  co_await wait_for_log(record.size(), log_stream::reserve::end);
  const lgpos at = log_->append(record);
  if (durable) co_await log_->make_durable(at);
  co_return at;
}

asio::awaitable<lgpos> instance_core::roll() {
  const call_guard running(*this);
  require_running();
  const std::uint32_t generation = log_->generation();
  co_await roll_over(generation);
  co_return make_lgpos(log_->generation(), first_sector * static_cast<std::uint32_t>(sector_bytes) + static_cast<std::uint32_t>(sector_header_bytes));
}

asio::awaitable<void> instance_core::make_durable(lgpos at) {
  const call_guard running(*this);
  require_running();
  if (at >= log_->tip()) fail(errc::invalid_parameter, "make a commit durable", {}, {}, "the position of a commit", "one that the log has not reached");
  co_await log_->make_durable(at);
}

asio::awaitable<lgpos> instance_core::log_tip() {
  require_running();
  co_return log_->tip();
}

// The next log file is made ahead, so that a roll does not wait for it; while its disk is full that is tried again.
asio::awaitable<void> instance_core::keep_prepared(std::shared_ptr<instance_core> self) {
  instance_core& core = *self;
  while (!core.finishing_ && !core.dead_) {
    if (!core.prepare_wanted_) {
      co_await core.prepare_asked_.wait();
      continue;
    }
    core.prepare_wanted_ = false;
    {
      const detail::async_mutex::guard mine = co_await core.rolling_.lock();
      if (core.finishing_ || core.dead_) break;
      const detail::async_mutex::guard no_deletion = co_await core.deleting_.lock();
      const std::optional<std::uint32_t> recycled = std::exchange(core.recycled_, std::nullopt);
      const bool taken = co_await core.log_->prepare(recycled);
      if (taken) core.lowest_generation_ = *recycled + 1;
    }
    core.log_disk_full_ = !core.log_->prepared();
    if (!core.log_disk_full_) {
      if (core.how_.circular_logging && core.how_.logging) co_await core.delete_old_logs();   // those behind the one that was taken, or was not
      continue;
    }
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, prepare_pause);
    core.pause_ = &pause;
    const auto token = asio::experimental::as_tuple(asio::use_awaitable);
    const auto passed = co_await pause.async_wait(token);
    static_cast<void>(passed);
    core.pause_ = nullptr;
    core.prepare_wanted_ = !core.finishing_;
  }
  core.worker_ended();
}

}  // namespace contrail::pagestore
