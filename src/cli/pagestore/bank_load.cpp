#include "cli/pagestore/bank_load.hpp"

#include <contrail/error.hpp>

#include <asio/co_spawn.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <random>
#include <utility>

namespace contrail::cli::store_bank {

namespace {

constexpr std::int64_t most_moved = 50;

/// A transaction that met another one waits for a moment, lest two meet again and again.
constexpr std::chrono::microseconds first_pause(50), longest_pause(5000);

}  // namespace

load::load(asio::any_io_executor ex, pagestore::instance* in, const bank* of, unsigned writers, std::chrono::microseconds pause)
    : ex_(std::move(ex)), in_(in), of_(of), pause_(pause), last_(writers), all_ended_(ex_) {}

asio::awaitable<void> load::start() {
  for (unsigned writer = 0; writer < last_.size(); ++writer) {
    const std::uint64_t last = co_await last_of(in_, of_, writer);
    last_[writer] = last;
  }
  std::random_device random;
  const std::uint32_t seed = random();
  all_ended_.expires_at(asio::steady_timer::time_point::max());
  lap_begun_ = std::chrono::steady_clock::now();
  for (unsigned writer = 0; writer < last_.size(); ++writer) {
    ++running_;
    auto done = [this](std::exception_ptr failure) { ended(failure); };
    asio::co_spawn(ex_, write(writer, seed), std::move(done));
  }
}

void load::ended(const std::exception_ptr& failure) {
  stopping_ = true;
  if (failure && !failed_) {
    failed_ = failure;
    if (on_failure) {
      on_failure();
    }
  }
  if (--running_ == 0) {
    all_ended_.cancel();
  }
}

asio::awaitable<void> load::join() {
  while (running_ != 0) {
    const auto result = co_await all_ended_.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    static_cast<void>(result);
  }
  if (failed_) {
    std::rethrow_exception(failed_);
  }
}

asio::awaitable<void> load::carry_out_patiently(transfer what) {
  std::chrono::microseconds pause = first_pause;
  asio::steady_timer timer(ex_);
  while (true) {
    bool conflict = false;
    try {
      co_await store_bank::carry_out(in_, of_, what);
    } catch (const error& e) {
      conflict = e.code() == errc::write_conflict;
      if (!conflict) {
        throw;
      }
    }
    if (!conflict) {
      co_return;
    }
    ++now_.conflicts;
    // By its number, so that two do not wait equally long.
    timer.expires_after(pause + pause * (what.writer % 16) / 16);
    co_await timer.async_wait(asio::use_awaitable);
    pause = std::min(2 * pause, longest_pause);
  }
}

asio::awaitable<void> load::write(unsigned writer, std::uint32_t seed) {
  asio::steady_timer timer(ex_);
  std::mt19937_64 random((std::uint64_t{seed} << 32U) + writer);
  while (!stopping_) {
    transfer next;
    next.writer = writer;
    next.sequence = last_[writer] + 1;
    next.from = random() % of_->accounts();
    next.to = (next.from + 1 + random() % (of_->accounts() - 1)) % of_->accounts();
    next.amount = static_cast<std::int64_t>(random() % most_moved) + 1;
    const auto begun = std::chrono::steady_clock::now();
    co_await carry_out_patiently(next);
    now_.took.add(std::chrono::steady_clock::now() - begun);
    last_[writer] = next.sequence;
    if (on_durable) {
      on_durable(writer, next.sequence);
    }
    if (pause_.count() != 0) {
      timer.expires_after(pause_);
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
}

lap load::take_lap() {
  const auto now = std::chrono::steady_clock::now();
  lap out = std::exchange(now_, lap());
  out.seconds = std::chrono::duration<double>(now - lap_begun_).count();
  lap_begun_ = now;
  return out;
}

}  // namespace contrail::cli::store_bank
