#pragma once

#include <contrail/io/detail/initiate.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/use_awaitable.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace contrail::io {

/// Threads for calls that block: an engine's C library, the file system's rare corners. Same rules of cancellation and shutdown as files:
/// a call that has not begun is dropped by a cancellation; one that runs is waited for, also when the context is destroyed, and reports
/// what it did. Calls start in order. Any thread. May outlive the context; calls are then dropped.
class worker {
 public:
  explicit worker(asio::any_io_executor ex, unsigned threads = 1);

  /// void(std::exception_ptr, R), or void(std::exception_ptr) when `f()` returns void. `f` is moved into the operation, runs on a
  /// worker's thread and is destroyed before the handler runs; R must be default constructible and movable. What `f` throws arrives as the exception; a call
  /// dropped by cancellation gives `asio::error::operation_aborted`.
  /// In a coroutine pass a *named* callable, `std::move(name)` (GCC 12).
  template <typename F, typename Token>
  auto async_run(F f, Token&& token) {
    return asio::async_initiate<Token, typename detail::call_result<F>::signature>(detail::initiate_call<F>(ex_, queue_, std::move(f)),
                                                                                  token);
  }

 private:
  asio::any_io_executor ex_;
  std::shared_ptr<detail::request_queue> queue_;
};

}  // namespace contrail::io
