#pragma once

#include "async/event.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>

namespace contrail::detail {

/// Lets through in the order of tickets 0, 1, 2, ..., one at a time. One strand.
class turnstile {
 public:
  /// Returns when ticket `number - 1` has left. Fails with operation_aborted when cancelled; the turn is then lost and with it all later ones.
  asio::awaitable<void> enter(std::uint64_t number) {
    while (next_ != number) co_await arrived_.wait(number);
  }
  void leave() noexcept {
    ++next_;
    arrived_.notify(next_);
  }

 private:
  std::uint64_t next_ = 0;
  event arrived_;
};

}  // namespace contrail::detail
