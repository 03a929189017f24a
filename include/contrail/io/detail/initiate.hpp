#pragma once

#include <contrail/io/detail/typed_operation.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/error.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace contrail::io::detail {

class request_queue;

// The face of the request queue that templates need. All of them: any thread.

/// False once the context is gone: nothing may be started any more.
bool accepts(const std::shared_ptr<request_queue>& queue) noexcept;
/// Takes the operation.
void start(const std::shared_ptr<request_queue>& queue, operation* op) noexcept;
/// From a cancellation slot, hence on the handler's executor, while the operation has not been delivered.
void cancel(request_queue& queue, operation* op) noexcept;
const std::shared_ptr<request_queue>& queue_of(const std::shared_ptr<file_state>& file) noexcept;
/// The pool buffer that holds [data, data + bytes), shared; empty when the memory is no pool's of this context.
lease find_lease(request_queue& queue, const void* data, std::size_t bytes) noexcept;

/// The first buffer of a sequence that is not empty.
template <typename Buffer, typename Sequence>
Buffer first_buffer(const Sequence& buffers) {
  const auto end = asio::buffer_sequence_end(buffers);
  for (auto it = asio::buffer_sequence_begin(buffers); it != end; ++it) {
    const Buffer b(*it);
    if (b.size() != 0) return b;
  }
  return Buffer();
}

// How the results of each kind of request reach their handler.

struct plain_payload {
  static constexpr bool keeps_file = false;
};
struct no_result : plain_payload {
  std::tuple<std::error_code> take(operation& op, const asio::any_io_executor&) { return {op.error}; }
};
struct count_result : plain_payload {
  std::tuple<std::error_code, std::size_t> take(operation& op, const asio::any_io_executor&) {
    return {op.error, static_cast<std::size_t>(op.count)};
  }
};
struct size_result : plain_payload {
  std::tuple<std::error_code, std::uint64_t> take(operation& op, const asio::any_io_executor&) { return {op.error, op.count}; }
};

/// Connects the handler's cancellation slot and hands the operation over.
template <typename Operation>
void launch(const std::shared_ptr<request_queue>& queue, std::unique_ptr<Operation, typename Operation::deleter> op) {
  auto slot = asio::get_associated_cancellation_slot(op->handler);
  if (slot.is_connected()) {
    slot.assign([q = queue.get(), o = static_cast<operation*>(op.get())](asio::cancellation_type type) {
      if (type != asio::cancellation_type::none) cancel(*q, o);
    });
  }
  start(queue, op.release());
}

/// Initiation of an operation on an open file. A named function object with a constructor (GCC 12).
template <typename Payload>
class initiate_file {
 public:
  using executor_type = asio::any_io_executor;
  initiate_file(asio::any_io_executor ex, std::shared_ptr<file_state> file, request what, std::uint64_t offset, void* data,
                std::size_t bytes)
      : ex_(std::move(ex)), file_(std::move(file)), what_(what), offset_(offset), data_(data), bytes_(bytes) {}
  executor_type get_executor() const noexcept { return ex_; }

  template <typename Handler>
  void operator()(Handler&& handler) {
    using typed = typed_operation<Payload, std::decay_t<Handler>>;
    if (file_ != nullptr && !accepts(queue_of(file_))) return;
    auto op = typed::make(std::forward<Handler>(handler), ex_, Payload());
    op->what = what_;
    op->offset = offset_;
    op->data = data_;
    op->bytes = bytes_;
    const bool transfer = what_ == request::read || what_ == request::write;
    if (file_ == nullptr || (transfer && bytes_ == 0)) {
      if (file_ == nullptr) op->error = asio::error::bad_descriptor;
      operation* o = op.release();
      o->finish(o, true);
      return;
    }
    const std::shared_ptr<request_queue>& queue = queue_of(file_);
    if (transfer) op->pinned = find_lease(*queue, data_, bytes_);
    op->file = std::move(file_);
    launch(queue, std::move(op));
  }

 private:
  asio::any_io_executor ex_;
  std::shared_ptr<file_state> file_;
  request what_;
  std::uint64_t offset_;
  void* data_;
  std::size_t bytes_;
};

/// Initiation of an operation on names.
template <typename Payload>
class initiate_name {
 public:
  using executor_type = asio::any_io_executor;
  initiate_name(asio::any_io_executor ex, std::shared_ptr<request_queue> queue, request what, std::filesystem::path first,
                std::filesystem::path second, open_options options = {}, attributes value = {})
      : ex_(std::move(ex)), queue_(std::move(queue)), what_(what), names_(std::make_unique<name_arguments>()) {
    names_->first = std::move(first);
    names_->second = std::move(second);
    names_->options = options;
    names_->value = value;
  }
  executor_type get_executor() const noexcept { return ex_; }

  template <typename Handler>
  void operator()(Handler&& handler) {
    using typed = typed_operation<Payload, std::decay_t<Handler>>;
    if (!accepts(queue_)) return;
    auto op = typed::make(std::forward<Handler>(handler), ex_, Payload());
    op->what = what_;
    op->names = std::move(names_);
    launch(queue_, std::move(op));
  }

 private:
  asio::any_io_executor ex_;
  std::shared_ptr<request_queue> queue_;
  request what_;
  std::unique_ptr<name_arguments> names_;
};

/// A callable that blocks, and what came out of it.
template <typename F>
struct call_result {
  static constexpr bool keeps_file = false;
  using value = std::invoke_result_t<F&>;
  static constexpr bool is_void = std::is_void_v<value>;
  using stored = std::conditional_t<is_void, bool, value>;
  using signature = std::conditional_t<is_void, void(std::exception_ptr), void(std::exception_ptr, stored)>;
  using results = std::conditional_t<is_void, std::tuple<std::exception_ptr>, std::tuple<std::exception_ptr, stored>>;

  explicit call_result(F f) : callable(std::move(f)) {}

  void run() noexcept {
    try {
      if constexpr (is_void) {
        std::invoke(*callable);
      } else {
        result.emplace(std::invoke(*callable));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    callable.reset();
  }
  results take(operation& op, const asio::any_io_executor&) {
    if (op.error) failure = std::make_exception_ptr(std::system_error(op.error));
    if constexpr (is_void) {
      return results(std::move(failure));
    } else {
      if (!result.has_value()) result.emplace();
      return results(std::move(failure), std::move(*result));
    }
  }

  std::optional<F> callable;
  std::optional<stored> result;
  std::exception_ptr failure;
};

/// Initiation of a call on a worker.
template <typename F>
class initiate_call {
 public:
  using executor_type = asio::any_io_executor;
  initiate_call(asio::any_io_executor ex, std::shared_ptr<request_queue> queue, F f)
      : ex_(std::move(ex)), queue_(std::move(queue)), f_(std::move(f)) {}
  executor_type get_executor() const noexcept { return ex_; }

  template <typename Handler>
  void operator()(Handler&& handler) {
    using typed = typed_operation<call_result<F>, std::decay_t<Handler>>;
    if (!accepts(queue_)) return;
    auto op = typed::make(std::forward<Handler>(handler), ex_, call_result<F>(std::move(f_)));
    op->what = request::call;
    op->invoke = [](operation& o) noexcept { static_cast<typed&>(o).payload.run(); };
    launch(queue_, std::move(op));
  }

 private:
  asio::any_io_executor ex_;
  std::shared_ptr<request_queue> queue_;
  F f_;
};

}  // namespace contrail::io::detail
