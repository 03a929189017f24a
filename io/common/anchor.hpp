#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/execution_context.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace contrail::io::detail {

class pool_registry;
class request_queue;

/// The only thing that learns of the end of an execution context: it then stops the queues and pools that belong to it, while the memory
/// that the kernel may still write to is alive. Lifetime only; what is used is chosen by explicit objects.
class anchor final : public asio::execution_context::service {
 public:
  using key_type = anchor;
  static asio::execution_context::id id;
  explicit anchor(asio::execution_context& context);
  /// That of the context of `ex`, which it has from then on. The only way to it: it comes after what it needs at the end.
  static anchor& of(const asio::any_io_executor& ex);

  void add(const std::shared_ptr<request_queue>& queue);
  const std::shared_ptr<pool_registry>& pools() const noexcept { return pools_; }
  /// The queue of file_system::of, made by the first caller.
  std::shared_ptr<request_queue> default_queue(const asio::any_io_executor& ex);

 private:
  void shutdown() override;

  std::mutex mutex_;
  std::vector<std::weak_ptr<request_queue>> queues_;
  std::shared_ptr<pool_registry> pools_;
  std::shared_ptr<request_queue> default_queue_;
};

}  // namespace contrail::io::detail
