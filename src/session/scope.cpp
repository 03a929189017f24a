#include "session/scope.hpp"

#include <asio/post.hpp>
#include <asio/strand.hpp>

#include <cassert>
#include <utility>

namespace contrail::detail {

session_scope::entry::entry(std::shared_ptr<session_scope> scope) : scope_(std::move(scope)) {
  const std::lock_guard lock(scope_->mutex_);
  ++scope_->running_;
}

session_scope::entry::~entry() {
  const std::lock_guard lock(scope_->mutex_);   // while posting: a waiter takes itself off the list before its strand goes
  if (--scope_->running_ != 0) return;
  for (const waiter& w : scope_->waiters_) {
    asio::post(w.strand, [wake = w.wake] {
      if (const auto e = wake.lock()) e->notify();
    });
  }
}

bool session_scope::idle() const {
  const std::lock_guard lock(mutex_);
  return running_ == 0;
}

class session_scope::waiting {
 public:
  waiting(std::shared_ptr<session_scope> scope, const strand_type& strand)
      : scope_(std::move(scope)), wake(std::make_shared<event>()) {
    const std::lock_guard lock(scope_->mutex_);
    at_ = scope_->waiters_.emplace(scope_->waiters_.end(), strand, wake);
  }
  waiting(const waiting&) = delete;
  waiting& operator=(const waiting&) = delete;
  ~waiting() {
    const std::lock_guard lock(scope_->mutex_);
    scope_->waiters_.erase(at_);
  }

 private:
  std::shared_ptr<session_scope> scope_;
  std::list<waiter>::iterator at_;

 public:
  std::shared_ptr<event> wake;
};

asio::awaitable<void> session_scope::join(std::shared_ptr<session_scope> scope, strand_type strand) {
  waiting mine(scope, strand);
  while (!scope->idle()) co_await mine.wake->wait();
}

}  // namespace contrail::detail

namespace contrail {

engine::engine() : scope_(std::make_shared<detail::session_scope>()) {}

engine::~engine() { assert(scope_->idle() && "close() the engine before it is destroyed: a session's clean-up still runs"); }

asio::awaitable<void> engine::join_sessions() {
  const auto strand = asio::make_strand(get_executor());
  auto control = detail::make_control(strand);
  auto waiting = detail::session_scope::join(scope_, strand);
  return detail::on_strand(std::move(control), std::move(waiting));
}

}  // namespace contrail
