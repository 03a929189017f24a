#include "async/kept_strand.hpp"

#include <asio/execution_context.hpp>
#include <asio/query.hpp>

#include <algorithm>
#include <vector>

namespace contrail::detail {

/// All strands of one context that somebody keeps.
class strand_registry {
 public:
  void add(std::shared_ptr<kept_strand> strand) {
    const std::lock_guard lock(mutex_);
    strands_.push_back(std::move(strand));
  }
  void remove(const kept_strand* strand) {
    std::shared_ptr<kept_strand> last;   // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(strands_.begin(), strands_.end(), [strand](const auto& s) { return s.get() == strand; });
    if (at == strands_.end()) return;
    last = std::move(*at);
    strands_.erase(at);
  }
  void drop_all() {
    std::vector<std::shared_ptr<kept_strand>> all;
    {
      const std::lock_guard lock(mutex_);
      all.swap(strands_);
    }
    for (const auto& s : all) s->drop();
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<kept_strand>> strands_;
};

namespace {

/// The only thing that learns of the context's end.
class strand_service final : public asio::execution_context::service {
 public:
  using key_type = strand_service;
  static asio::execution_context::id id;
  explicit strand_service(asio::execution_context& context)
      : asio::execution_context::service(context), registry(std::make_shared<strand_registry>()) {}
  void shutdown() override { registry->drop_all(); }

  std::shared_ptr<strand_registry> registry;
};
asio::execution_context::id strand_service::id;

}  // namespace

std::shared_ptr<kept_strand> kept_strand::make(const strand_type& strand) {
  auto& context = asio::query(strand.get_inner_executor(), asio::execution::context);
  auto& service = asio::use_service<strand_service>(context);
  auto made = std::make_shared<kept_strand>(strand);
  made->registry_ = service.registry;
  service.registry->add(made);
  return made;
}

void kept_strand::on_gone(std::function<void()> gone) {
  const std::lock_guard lock(mutex_);
  gone_ = std::move(gone);
}

std::optional<strand_type> kept_strand::get() const {
  const std::lock_guard lock(mutex_);
  return strand_;
}

void kept_strand::close() {
  {
    const std::lock_guard lock(mutex_);
    strand_.reset();
    gone_ = nullptr;
  }
  if (const auto registry = registry_.lock()) registry->remove(this);
}

void kept_strand::drop() {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    strand_.reset();
    gone.swap(gone_);
  }
  if (gone) gone();
}

}  // namespace contrail::detail
