#pragma once

#include "cli/pagestore/bank_store.hpp"
#include "cli/pagestore/latencies.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

namespace contrail::cli::store_bank {

/// How the writers got on for a while. A transaction counts where it ended.
struct lap {
  lap() = default;
  double seconds = 0;
  std::uint64_t conflicts = 0;   ///< tries that met another transaction at a page
  latencies took;                ///< of each transaction, from its first try until it was durable
  double per_second() const noexcept { return seconds > 0 ? static_cast<double>(took.count()) / seconds : 0; }
};

/// Writers that transfer money in a bank until they are told to stop: each a coroutine on the executor, which must run on one thread. What
/// is given to it outlives it, and it outlives its writers: `join`.
class load {
 public:
  /// `pause`: of a writer between its transactions.
  load(asio::any_io_executor ex, pagestore::instance* in, const bank* of, unsigned writers, std::chrono::microseconds pause);

  /// Told of each transaction that is durable; what it throws ends its writer.
  std::function<void(unsigned writer, std::uint64_t sequence)> on_durable;
  /// Told when a writer fails; all of them stop then.
  std::function<void()> on_failure;

  /// Each goes on behind its last transaction.
  [[nodiscard]] asio::awaitable<void> start();
  /// Each ends its transaction. Before or after their end.
  void stop() noexcept { stopping_ = true; }
  /// Until they have stopped; not to be cancelled. Throws what the first one that failed had met.
  [[nodiscard]] asio::awaitable<void> join();

  /// The last durable transaction of each.
  const std::vector<std::uint64_t>& acknowledged() const noexcept { return last_; }
  /// Since the last call, or the start.
  lap take_lap();

 private:
  asio::awaitable<void> write(unsigned writer, std::uint32_t seed);
  asio::awaitable<void> carry_out_patiently(transfer what);
  void ended(const std::exception_ptr& failure);

  asio::any_io_executor ex_;
  pagestore::instance* in_;
  const bank* of_;
  std::chrono::microseconds pause_;
  std::vector<std::uint64_t> last_;
  lap now_;
  std::chrono::steady_clock::time_point lap_begun_ = std::chrono::steady_clock::now();
  unsigned running_ = 0;
  bool stopping_ = false;
  std::exception_ptr failed_;
  asio::steady_timer all_ended_;
};

}  // namespace contrail::cli::store_bank
