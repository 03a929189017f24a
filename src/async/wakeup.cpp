#include "async/wakeup.hpp"

#include <asio/async_result.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <system_error>
#include <utility>

namespace contrail {

// A timer is not safe between threads, and the waiter's thread is not the notifier's: both touch it under the mutex.
class wakeup::arm {
 public:
  arm(wakeup& owner, asio::steady_timer& timer) : owner_(&owner), timer_(&timer) {}
  template <typename Handler>
  void operator()(Handler&& handler) const {
    const std::lock_guard guard(owner_->mutex_);
    timer_->expires_at(owner_->moved_ ? asio::steady_timer::time_point::min() : asio::steady_timer::time_point::max());
    timer_->async_wait(std::forward<Handler>(handler));
  }

 private:
  wakeup* owner_;
  asio::steady_timer* timer_;
};

class wakeup::registration {
 public:
  registration(wakeup& owner, asio::steady_timer& timer) : owner_(owner) {
    const std::lock_guard guard(owner_.mutex_);
    owner_.waiter_ = &timer;
  }
  ~registration() {
    const std::lock_guard guard(owner_.mutex_);
    owner_.waiter_ = nullptr;
  }
  registration(const registration&) = delete;
  registration& operator=(const registration&) = delete;

 private:
  wakeup& owner_;
};

void wakeup::notify() {
  const std::lock_guard guard(mutex_);
  moved_ = true;
  if (waiter_ != nullptr) waiter_->cancel();
}

bool wakeup::take() {
  const std::lock_guard guard(mutex_);
  return std::exchange(moved_, false);
}

asio::awaitable<void> wakeup::wait() {
  const auto ex = co_await asio::this_coro::executor;
  const auto token = asio::experimental::as_tuple(asio::use_awaitable);
  asio::steady_timer timer(ex);
  const registration mine(*this, timer);
  const arm start(*this, timer);
  while (!take()) {
    // A cancellation is thrown by the await that follows it.
    const auto result = co_await asio::async_initiate<decltype(token), void(std::error_code)>(start, token);
    (void)result;
  }
}

}  // namespace contrail
