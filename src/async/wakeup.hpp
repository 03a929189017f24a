#pragma once

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include <mutex>

namespace contrail {

/// "Something moved": any thread says so, one coroutine waits for it. A word said while nobody waits is kept. The timer that the
/// coroutine sits on is its own, so nothing here belongs to a context: a wakeup may outlive it.
class wakeup {
 public:
  wakeup() = default;
  wakeup(const wakeup&) = delete;
  wakeup& operator=(const wakeup&) = delete;

  void notify();
  /// All cancellation types; one waiter at a time.
  [[nodiscard]] asio::awaitable<void> wait();

 private:
  class arm;
  class registration;
  bool take();

  std::mutex mutex_;
  bool moved_ = false;
  asio::steady_timer* waiter_ = nullptr;
};

}  // namespace contrail
