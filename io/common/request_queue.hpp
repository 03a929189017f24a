#pragma once

#include "common/bounce.hpp"
#include "common/driver.hpp"
#include "common/pool_state.hpp"

#include <contrail/io/backend.hpp>
#include <contrail/io/detail/operation.hpp>

#include <asio/any_io_executor.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace contrail::io::detail {

/// Where every asynchronous operation goes through: owns threads, cancellation and shutdown, written once for all drivers.
///
/// Any thread pushes requests and cancellations on two lock-free lists; one posted turn on the strand takes them, issues, flushes, reaps
/// and hands out. Completions are always posted to the handler's executor, never called here.
class request_queue final : public driver_host, public std::enable_shared_from_this<request_queue> {
 public:
  request_queue(const asio::any_io_executor& ex, std::shared_ptr<pool_registry> pools, std::size_t bytes_per_turn);
  ~request_queue();

  void attach(std::unique_ptr<driver> backend, backend_info info);
  const backend_info& info() const noexcept { return info_; }
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  driver& backend() noexcept { return *driver_; }

  void start(operation* op) noexcept;
  /// On the handler's executor, before the operation was delivered.
  void cancel(operation* op) noexcept;
  lease find_lease(const void* data, std::size_t bytes) noexcept { return pools_->find(data, bytes); }

  /// No thread runs the context any more. Drops every operation, after those that the driver waits for (see driver::drain).
  void shutdown() noexcept;

  void wake() noexcept override;
  const queue_strand& strand() const noexcept override { return *strand_; }
  std::shared_ptr<driver_host> share() noexcept override { return weak_from_this().lock(); }

 private:
  void turn() noexcept;
  void take_incoming() noexcept;
  void take_cancels(operation_list& ready) noexcept;
  bool collect(operation_list& ready) noexcept;
  bool issue_waiting(operation_list& ready) noexcept;
  void complete(operation* op, operation_list& ready) noexcept;
  bool try_again(const operation* op) noexcept;
  void forget_tries(const operation* op) noexcept;

  std::optional<queue_strand> strand_;
  std::shared_ptr<pool_registry> pools_;
  std::unique_ptr<driver> driver_;
  backend_info info_;
  std::size_t bytes_per_turn_;

  // Any thread.
  std::atomic<operation*> incoming_{nullptr};
  std::atomic<operation*> cancels_{nullptr};
  std::atomic<bool> posted_{false};
  std::atomic<bool> closed_{false};

  // The strand only.
  operation_list waiting_;
  std::vector<operation*> parked_;   // finished, but their cancel entry is still on the list
  struct tried {
    const operation* op;
    unsigned times;
  };
  std::vector<tried> disowned_;   // came back cancelled though nobody asked for it
  std::size_t in_flight_ = 0;
  bounce_buffers bounce_;
};

}  // namespace contrail::io::detail
