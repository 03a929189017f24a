#pragma once

#include <contrail/io/detail/operation.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>

#include <memory>
#include <tuple>
#include <utility>

namespace contrail::io::detail {

/// The executor with outstanding work counted, or an empty one.
inline asio::any_io_executor tracked(const asio::any_io_executor& ex) {
  if (!ex) return ex;
  return asio::prefer(ex, asio::execution::outstanding_work.tracked);
}

/// An operation with its handler. `Payload` says how the results are taken out (`take(operation&, executor)` gives a tuple) and may
/// carry data of its own (calls).
template <typename Payload, typename Handler>
struct typed_operation final : operation {
  using handler_executor = std::decay_t<decltype(asio::prefer(
      asio::get_associated_executor(std::declval<Handler&>(), std::declval<asio::any_io_executor>()),
      asio::execution::outstanding_work.tracked))>;
  using allocator =
      typename std::allocator_traits<asio::associated_allocator_t<Handler>>::template rebind_alloc<typed_operation>;

  typed_operation(Handler&& h, const asio::any_io_executor& ex, Payload&& p)
      : handler(std::move(h)),
        payload(std::move(p)),
        io_executor(ex),
        handler_work(asio::prefer(asio::get_associated_executor(handler, ex), asio::execution::outstanding_work.tracked)),
        io_work(tracked(ex)) {
    finish = &do_finish;
  }

  struct deleter {
    void operator()(typed_operation* o) const noexcept {
      allocator a(asio::get_associated_allocator(o->handler));
      std::allocator_traits<allocator>::destroy(a, o);
      std::allocator_traits<allocator>::deallocate(a, o, 1);
    }
  };
  using pointer = std::unique_ptr<typed_operation, deleter>;

  static pointer make(Handler h, const asio::any_io_executor& ex, Payload p) {
    allocator a(asio::get_associated_allocator(h));
    typed_operation* o = std::allocator_traits<allocator>::allocate(a, 1);
    try {
      std::allocator_traits<allocator>::construct(a, o, std::move(h), ex, std::move(p));
    } catch (...) {
      std::allocator_traits<allocator>::deallocate(a, o, 1);
      throw;
    }
    return pointer(o);
  }

  /// Runs on the handler's executor: a cancellation slot may point at the operation until here.
  struct completion {
    pointer op;
    using allocator_type = asio::associated_allocator_t<Handler>;
    allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(op->handler); }
    void operator()() {
      auto slot = asio::get_associated_cancellation_slot(op->handler);
      if (slot.is_connected()) slot.clear();
      auto work = std::move(op->handler_work);
      auto results = op->payload.take(*op, op->io_executor);
      Handler h(std::move(op->handler));
      {
        // The handler's memory is free again before it is called, so that it can be used for the next operation.
        allocator a(asio::get_associated_allocator(h));
        typed_operation* o = op.release();
        std::allocator_traits<allocator>::destroy(a, o);
        std::allocator_traits<allocator>::deallocate(a, o, 1);
      }
      std::apply(std::move(h), std::move(results));
    }
  };

  static void do_finish(operation* base, bool deliver) noexcept {
    pointer op(static_cast<typed_operation*>(base));
    op->bounce.reset();
    op->pinned.reset();
    const std::shared_ptr<request_queue> owner = std::move(op->owner);
    if (!deliver) return;
    if constexpr (!Payload::keeps_file) op->file.reset();
    // The handler's context keeps itself alive from here on; ours has nothing more to do.
    const asio::any_io_executor io_work = std::move(op->io_work);
    auto ex = op->handler_work;
    asio::post(ex, completion{std::move(op)});
  }

  Handler handler;
  Payload payload;
  asio::any_io_executor io_executor;
  handler_executor handler_work;
  asio::any_io_executor io_work;   // the context that runs the queue stays alive too: a future has no executor of its own
};

}  // namespace contrail::io::detail
