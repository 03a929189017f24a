#pragma once

#include <contrail/io/detail/initiate_acquire.hpp>
#include <contrail/io/lease.hpp>

#include <asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

namespace contrail::io {

/// Fixed number of aligned buffers of one size: the only place where backup data lives, and the only bound on it.
/// Memory is taken from the system as it is used. Any thread. File operations on memory of a pool keep that buffer alive until the
/// system is done with it, and use it as a registered buffer where the memory-lock limit allows. May outlive its context; waiting
/// `async_acquire`s are dropped with the context.
class buffer_pool {
 public:
  /// `bytes_each` is rounded up to a multiple of 4096. Throws std::bad_alloc, std::invalid_argument (zero).
  buffer_pool(asio::any_io_executor ex, std::size_t count, std::size_t bytes_each);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;
  ~buffer_pool();

  /// void(std::error_code, lease): first come, first served. All cancellation types; a cancelled acquire holds nothing.
  template <typename Token>
  auto async_acquire(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, lease)>(detail::initiate_acquire(state_, ex_), token);
  }
  /// An empty lease when none is free.
  lease try_acquire() noexcept;
  std::size_t free_count() const noexcept;
  std::size_t count() const noexcept;
  std::size_t bytes_each() const noexcept;

 private:
  asio::any_io_executor ex_;
  std::shared_ptr<detail::pool_state> state_;
};

}  // namespace contrail::io
