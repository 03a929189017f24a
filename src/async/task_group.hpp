#pragma once

#include "async/event.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/this_coro.hpp>

#include <exception>
#include <list>
#include <memory>
#include <system_error>
#include <utility>

namespace contrail::detail {

/// Children on one strand that never outlive `join`. The first child that fails, or a cancellation of join, cancels the others.
/// What a child refers to must be shared with it: when the context is destroyed, parent and children go in any order.
class task_group {
 public:
  explicit task_group(asio::any_io_executor ex) : ex_(std::move(ex)), state_(std::make_shared<state>()) {}

  void spawn(asio::awaitable<void> work) {
    auto entry = state_->children.emplace(state_->children.end());
    ++state_->running;
    auto finish = [s = state_, entry](std::exception_ptr e) {
      entry->done = true;
      --s->running;
      if (e && !s->first) {
        s->first = std::move(e);
        s->cancel();
      }
      if (s->running == 0) s->finished.notify();
    };
    asio::co_spawn(ex_, std::move(work), asio::bind_cancellation_slot(entry->signal.slot(), std::move(finish)));
  }
  void cancel() { state_->cancel(); }

  /// Ends when all children are gone; then throws what the first failure was, or operation_aborted.
  asio::awaitable<void> join() {
    const auto s = state_;
    const bool throwing = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    bool aborted = false;
    while (s->running != 0) {
      if (!aborted) {
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (cancellation.cancelled() != asio::cancellation_type::none) {
          aborted = true;
          s->cancel();
          const auto disabled = asio::disable_cancellation();
          co_await asio::this_coro::reset_cancellation_state(disabled);
        }
      }
      const bool notified = co_await s->finished.wait_quietly();
      static_cast<void>(notified);
    }
    co_await asio::this_coro::throw_if_cancelled(throwing);
    if (aborted) {
      const auto enabled = asio::enable_terminal_cancellation();
      co_await asio::this_coro::reset_cancellation_state(enabled);
      throw std::system_error(asio::error::operation_aborted);
    }
    if (s->first) std::rethrow_exception(s->first);
  }

 private:
  struct child {
    asio::cancellation_signal signal;
    bool done = false;
  };
  struct state {
    void cancel() {
      for (child& c : children)
        if (!c.done) c.signal.emit(asio::cancellation_type::terminal);
    }
    std::list<child> children;   // one per child ever spawned: a group is for a fixed few
    unsigned running = 0;
    std::exception_ptr first;
    event finished;
  };

  asio::any_io_executor ex_;
  std::shared_ptr<state> state_;
};

}  // namespace contrail::detail
