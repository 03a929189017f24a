#pragma once

#include <contrail/io/detail/typed_operation.hpp>
#include <contrail/io/lease.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/post.hpp>

#include <memory>
#include <system_error>
#include <utility>

namespace contrail::io::detail {

/// Somebody who waits for a buffer. `wake` is called once, without the pool's lock held.
struct acquire_waiter {
  void (*wake)(acquire_waiter*, std::error_code, lease, bool deliver) noexcept = nullptr;

 protected:
  ~acquire_waiter() = default;
};

// The face of the pool that templates need; any thread.
void start_acquire(const std::shared_ptr<pool_state>& pool, acquire_waiter* waiter) noexcept;
/// Wakes it with operation_aborted when it still waits.
void cancel_acquire(pool_state& pool, acquire_waiter* waiter) noexcept;

template <typename Handler>
struct typed_waiter final : acquire_waiter {
  using handler_executor = std::decay_t<decltype(asio::prefer(
      asio::get_associated_executor(std::declval<Handler&>(), std::declval<asio::any_io_executor>()),
      asio::execution::outstanding_work.tracked))>;

  typed_waiter(Handler&& h, const asio::any_io_executor& ex)
      : handler(std::move(h)),
        work(asio::prefer(asio::get_associated_executor(handler, ex), asio::execution::outstanding_work.tracked)),
        pool_work(tracked(ex)) {
    wake = &do_wake;
  }

  struct completion {
    std::unique_ptr<typed_waiter> waiter;
    void operator()() {
      auto slot = asio::get_associated_cancellation_slot(waiter->handler);
      if (slot.is_connected()) slot.clear();
      auto keep = std::move(waiter->work);
      Handler h(std::move(waiter->handler));
      const std::error_code ec = waiter->error;
      lease given = std::move(waiter->got);
      waiter.reset();
      std::move(h)(ec, std::move(given));
    }
  };

  static void do_wake(acquire_waiter* base, std::error_code ec, lease got, bool deliver) noexcept {
    std::unique_ptr<typed_waiter> self(static_cast<typed_waiter*>(base));
    if (!deliver) return;
    self->error = ec;
    self->got = std::move(got);
    const asio::any_io_executor pool_work = std::move(self->pool_work);
    auto ex = self->work;
    asio::post(ex, completion{std::move(self)});
  }

  Handler handler;
  handler_executor work;
  asio::any_io_executor pool_work;
  std::error_code error;
  lease got;
};

class initiate_acquire {
 public:
  initiate_acquire(std::shared_ptr<pool_state> pool, asio::any_io_executor ex) : pool_(std::move(pool)), ex_(std::move(ex)) {}
  using executor_type = asio::any_io_executor;
  executor_type get_executor() const noexcept { return ex_; }

  template <typename Handler>
  void operator()(Handler&& handler) {
    auto waiter = std::make_unique<typed_waiter<std::decay_t<Handler>>>(std::forward<Handler>(handler), ex_);
    auto slot = asio::get_associated_cancellation_slot(waiter->handler);
    if (slot.is_connected()) {
      // The slot's handler keeps the pool, not the waiter: when the waiter was woken already there is nothing to find.
      slot.assign([pool = pool_, w = static_cast<acquire_waiter*>(waiter.get())](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) cancel_acquire(*pool, w);
      });
    }
    start_acquire(pool_, waiter.release());
  }

 private:
  std::shared_ptr<pool_state> pool_;
  asio::any_io_executor ex_;
};

}  // namespace contrail::io::detail
