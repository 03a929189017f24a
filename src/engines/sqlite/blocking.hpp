#pragma once

#include "reader.hpp"

#include <contrail/io/worker.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/use_awaitable.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace contrail::sqlite {

namespace detail {

/// The worker's cancellation would only drop a call that has not begun. This handler keeps the slot from the worker, so that a
/// cancellation sets the flag by which a running call comes back early.
template <typename Handler>
class flagged_handler {
 public:
  using executor_type = typename asio::associated_executor<Handler, asio::any_io_executor>::type;
  flagged_handler(Handler handler, const asio::any_io_executor& fallback)
      : executor_(asio::get_associated_executor(handler, fallback)), handler_(std::move(handler)) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <typename Result>
  void operator()(std::exception_ptr failure, Result result) {
    asio::get_associated_cancellation_slot(handler_).clear();
    std::move(handler_)(std::move(failure), std::move(result));
  }

 private:
  executor_type executor_;
  Handler handler_;
};

template <typename F>
class initiate_abortable {
 public:
  initiate_abortable(io::worker& on, asio::any_io_executor ex, stop_flag stop, F f)
      : on_(&on), ex_(std::move(ex)), stop_(std::move(stop)), f_(std::move(f)) {}

  template <typename Handler>
  void operator()(Handler&& handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([stop = stop_](asio::cancellation_type) { stop->store(true); });
    }
    on_->async_run(std::move(f_), flagged_handler<std::decay_t<Handler>>(std::forward<Handler>(handler), ex_));
  }

 private:
  io::worker* on_;
  asio::any_io_executor ex_;
  stop_flag stop_;
  F f_;
};

}  // namespace detail

/// `f()` on the worker; a cancellation (terminal) sets `stop` and waits for `f`, which looks at it. An ordinary function (GCC 12).
template <typename F>
[[nodiscard]] asio::awaitable<std::invoke_result_t<F&>> run_abortable(io::worker& on, asio::any_io_executor ex, stop_flag stop, F f) {
  using signature = void(std::exception_ptr, std::invoke_result_t<F&>);
  return asio::async_initiate<const asio::use_awaitable_t<>&, signature>(
      detail::initiate_abortable<F>(on, std::move(ex), std::move(stop), std::move(f)), asio::use_awaitable);
}

}  // namespace contrail::sqlite
