#include "common/anchor.hpp"

#include "common/backends.hpp"
#include "common/pool_state.hpp"
#include "common/request_queue.hpp"

#include <asio/query.hpp>
#include <asio/strand.hpp>

namespace contrail::io::detail {

asio::execution_context::id anchor::id;

anchor::anchor(asio::execution_context& context) : service(context), pools_(std::make_shared<pool_registry>()) {}

anchor& anchor::of(const asio::any_io_executor& ex) {
  // Services end newest first. Workers post on strands until the anchor has joined them, and a strand that ends under a post is torn
  // (its first entry goes in without the lock), so the service of the strands must be older.
  static_cast<void>(asio::make_strand(ex));
  return asio::use_service<anchor>(asio::query(ex, asio::execution::context));
}

void anchor::add(const std::shared_ptr<request_queue>& queue) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(queues_, [](const auto& weak) { return weak.expired(); });
  queues_.push_back(queue);
}

std::shared_ptr<request_queue> anchor::default_queue(const asio::any_io_executor& ex) {
  {
    const std::scoped_lock lock(mutex_);
    if (default_queue_ != nullptr) return default_queue_;
  }
  auto made = make_queue(ex, backend_options{});
  const std::scoped_lock lock(mutex_);
  if (default_queue_ == nullptr) default_queue_ = std::move(made);
  return default_queue_;
}

void anchor::shutdown() {
  std::vector<std::weak_ptr<request_queue>> queues;
  std::shared_ptr<request_queue> own;
  {
    const std::scoped_lock lock(mutex_);
    queues.swap(queues_);
    own.swap(default_queue_);
  }
  for (auto& weak : queues) {
    if (auto queue = weak.lock()) queue->shutdown();
  }
  pools_->shutdown();
}

}  // namespace contrail::io::detail
