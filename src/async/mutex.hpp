#pragma once

#include "async/event.hpp"

#include <asio/awaitable.hpp>

#include <utility>

namespace contrail::detail {

/// One coroutine at a time, across suspensions. One strand; waiting is cancellable. Must outlive its guards.
class async_mutex {
 public:
  class guard {
   public:
    guard() noexcept = default;
    explicit guard(async_mutex& m) noexcept : owner_(&m) {}
    guard(guard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    guard& operator=(guard&& other) noexcept {
      if (this != &other) {
        release();
        owner_ = std::exchange(other.owner_, nullptr);
      }
      return *this;
    }
    ~guard() { release(); }
    void release() noexcept {
      if (async_mutex* m = std::exchange(owner_, nullptr)) {
        m->locked_ = false;
        m->freed_.notify();
      }
    }

   private:
    async_mutex* owner_ = nullptr;
  };

  asio::awaitable<guard> lock() {
    // All are woken, and the one that has waited longest comes first: a wake-up given to one alone would be lost when that one is cancelled.
    while (locked_) co_await freed_.wait();
    locked_ = true;
    co_return guard(*this);
  }

 private:
  bool locked_ = false;
  event freed_;
};

}  // namespace contrail::detail
