#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <cstdint>
#include <system_error>

namespace contrail::detail {

/// Something that coroutines of one strand wait for. Waiters live in their own frames and their handlers in the timer service, so a dying
/// context finds and destroys them; the event itself is tied to no context and may outlive it. One strand, no threads.
class event {
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() {
    for (waiter* w = first_; w != nullptr; w = w->next) w->owner = nullptr;
  }

  /// Wakes all that wait now, the one that has waited longest first.
  void notify() noexcept {
    for (waiter* w = first_; w != nullptr; w = w->next) w->wake();
  }
  /// Wakes those that wait with this key.
  void notify(std::uint64_t key) noexcept {
    for (waiter* w = first_; w != nullptr; w = w->next)
      if (w->key == key) w->wake();
  }

  /// Until notified. Fails with operation_aborted when cancelled.
  asio::awaitable<void> wait(std::uint64_t key = 0) {
    const bool notified = co_await wait_quietly(key);
    if (!notified) throw std::system_error(asio::error::operation_aborted);
  }
  /// False: cancelled. Throws only on entry, and only where the coroutine has `throw_if_cancelled`.
  asio::awaitable<bool> wait_quietly(std::uint64_t key = 0) {
    auto ex = co_await asio::this_coro::executor;
    waiter self(*this, ex, key);
    const auto [ec] = co_await self.timer.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
    static_cast<void>(ec);
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() == asio::cancellation_type::none;
  }

 private:
  struct waiter {
    waiter(event& e, const asio::any_io_executor& ex, std::uint64_t k) : owner(&e), previous(e.last_), key(k), timer(ex) {
      timer.expires_at(asio::steady_timer::time_point::max());
      (previous != nullptr ? previous->next : e.first_) = this;
      e.last_ = this;
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    ~waiter() {
      if (next != nullptr) next->previous = previous;
      else if (owner != nullptr) owner->last_ = previous;
      if (previous != nullptr) previous->next = next;
      else if (owner != nullptr) owner->first_ = next;
    }
    void wake() noexcept { timer.cancel(); }

    event* owner;
    waiter* previous;
    waiter* next = nullptr;
    std::uint64_t key;
    asio::steady_timer timer;
  };

  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

}  // namespace contrail::detail
