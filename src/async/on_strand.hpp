#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace contrail::detail {

using strand_type = asio::strand<asio::any_io_executor>;

/// One call that runs on a strand for a caller elsewhere. Its signal is touched on that strand only, its destruction included: a frame there
/// may still point at the slot when the caller already has the result.
struct call_control {
  explicit call_control(strand_type s) : strand(std::move(s)) {}
  void cancel() {
    if (live) signal.emit(asio::cancellation_type::terminal);
  }
  strand_type strand;
  asio::cancellation_signal signal;
  bool live = true;          ///< the body has not ended; on the strand
  bool cancellable = true;   ///< does the caller's cancellation reach the body; set before the call
};

inline std::shared_ptr<call_control> make_control(const strand_type& strand) {
  auto bury = [](call_control* c) {
    const strand_type on = c->strand;
    std::unique_ptr<call_control> body(c);
    asio::post(on, [owned = std::move(body)] {});
  };
  return std::shared_ptr<call_control>(new call_control(strand), bury);
}

/// Initiation of on_strand. A named class with a constructor: see the compiler's faults with lambdas and aggregates beside co_await.
class start_on_strand {
 public:
  explicit start_on_strand(std::shared_ptr<call_control> control) : control_(std::move(control)) {}

  template <typename Handler, typename T>
  void operator()(Handler&& handler, asio::awaitable<T> work) const {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected() && control_->cancellable) {
      // Weak: the caller's signal may outlive the context, which no strand may.
      slot.assign([weak = std::weak_ptr<call_control>(control_)](asio::cancellation_type type) {
        const auto c = weak.lock();
        if (!c) return;
        asio::post(c->strand, [c, type] {
          if (c->live) c->signal.emit(type);
        });
      });
    }
    const auto ex = asio::get_associated_executor(handler, asio::any_io_executor(control_->strand));
    // Posted, not dispatched: a caller on the plain context would otherwise go on inside the strand, and hold it while it computes.
    auto finish = [h = std::forward<Handler>(handler), c = control_, back = asio::make_work_guard(ex)](std::exception_ptr e,
                                                                                                        auto... value) mutable {
      const auto to = back.get_executor();
      auto deliver = [h = std::move(h), c = std::move(c), back = std::move(back), e = std::move(e),
                      values = std::make_tuple(std::move(value)...)]() mutable {
        auto own = asio::get_associated_cancellation_slot(h);
        if (own.is_connected()) own.clear();
        c.reset();
        std::apply([&](auto&... one) { std::move(h)(std::move(e), std::move(one)...); }, values);
      };
      asio::post(to, std::move(deliver));
    };
    asio::co_spawn(control_->strand, guarded(control_, std::move(work)),
                   asio::bind_executor(control_->strand, asio::bind_cancellation_slot(control_->signal.slot(), std::move(finish))));
  }

 private:
  // A cancellation that comes when the body has ended must not reach the slots it left behind.
  struct life {
    explicit life(std::shared_ptr<call_control> c) : control(std::move(c)) {}
    life(const life&) = delete;
    life& operator=(const life&) = delete;
    ~life() { control->live = false; }
    std::shared_ptr<call_control> control;
  };
  template <typename T>
  static asio::awaitable<T> guarded(std::shared_ptr<call_control> control, asio::awaitable<T> work) {
    life mine(std::move(control));
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
    } else {
      auto value = co_await std::move(work);
      co_return value;
    }
  }

  std::shared_ptr<call_control> control_;
};

/// Runs `work` on the control's strand and comes back to the awaiting executor. Result and cancellation both cross safely (Asio 1.22's
/// `co_spawn(strand, ..., use_awaitable)` lets a cancellation run on the caller's thread). T must be default constructible.
template <typename T>
asio::awaitable<T> on_strand(std::shared_ptr<call_control> control, asio::awaitable<T> work) {
  start_on_strand init(std::move(control));
  if constexpr (std::is_void_v<T>) {
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(std::move(init), asio::use_awaitable,
                                                                                          std::move(work));
  } else {
    static_assert(std::is_default_constructible_v<T>);
    auto value = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, T)>(
        std::move(init), asio::use_awaitable, std::move(work));
    co_return value;
  }
}

}  // namespace contrail::detail
