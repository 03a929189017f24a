#pragma once

#include <contrail/io/detail/initiate.hpp>
#include <contrail/io/open_options.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

namespace contrail::io {

namespace detail {
struct file_state;
}

/// An open file. Satisfies Asio's AsyncRandomAccessReadDevice and AsyncRandomAccessWriteDevice: `asio::async_read_at` and
/// `asio::async_write_at` work, with any completion token.
///
/// Threads: distinct operations may run at once, from any thread; the object itself is as safe as an int. Move-only.
/// Lifetime: memory given to an operation must live until its completion, unless it belongs to a `buffer_pool`, which sees to that
/// itself. The object may be closed or destroyed with operations in flight; they keep the descriptor.
/// Cancellation: terminal, partial and total. An operation that the system had already finished reports what it did.
/// Errors: `asio::error::eof` at the end of the file, `asio::error::operation_aborted`, `asio::error::bad_descriptor` on a closed
/// object, or what the system said.
class random_access_file {
 public:
  using executor_type = asio::any_io_executor;

  random_access_file() noexcept;
  random_access_file(executor_type ex, std::shared_ptr<detail::file_state> state) noexcept;
  random_access_file(random_access_file&&) noexcept;
  random_access_file& operator=(random_access_file&&) noexcept;
  ~random_access_file();

  executor_type get_executor() const noexcept { return ex_; }
  bool is_open() const noexcept { return state_ != nullptr; }
  /// As found at open. Zero values for an object that is not open.
  file_facts facts() const noexcept;

  /// void(std::error_code, std::size_t). Reads into the first buffer that is not empty; may be short.
  template <typename Buffers, typename Token>
  auto async_read_some_at(std::uint64_t offset, const Buffers& buffers, Token&& token) {
    const asio::mutable_buffer into = detail::first_buffer<asio::mutable_buffer>(buffers);
    return start(detail::request::read, offset, into.data(), into.size(), token);
  }
  /// void(std::error_code, std::size_t). Writes from the first buffer that is not empty; may be short.
  template <typename Buffers, typename Token>
  auto async_write_some_at(std::uint64_t offset, const Buffers& buffers, Token&& token) {
    const asio::const_buffer from = detail::first_buffer<asio::const_buffer>(buffers);
    return start(detail::request::write, offset, const_cast<void*>(from.data()), from.size(), token);
  }
  /// void(std::error_code). Data and metadata are on stable storage. A failure is final for what was written before: a second call that
  /// succeeds proves nothing.
  template <typename Token>
  auto async_sync(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        detail::initiate_file<detail::no_result>(ex_, state_, detail::request::sync, 0, nullptr, 0), token);
  }
  /// void(std::error_code). Reserves space for the first `bytes` bytes and grows the file to that length; success where the file
  /// system has no such thing.
  template <typename Token>
  auto async_allocate(std::uint64_t bytes, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        detail::initiate_file<detail::no_result>(ex_, state_, detail::request::allocate, bytes, nullptr, 0), token);
  }
  /// void(std::error_code). Cuts or grows the file to `bytes`.
  template <typename Token>
  auto async_resize(std::uint64_t bytes, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(
        detail::initiate_file<detail::no_result>(ex_, state_, detail::request::resize, bytes, nullptr, 0), token);
  }
  /// void(std::error_code, std::uint64_t). Length in bytes now, not at open.
  template <typename Token>
  auto async_size(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, std::uint64_t)>(
        detail::initiate_file<detail::size_result>(ex_, state_, detail::request::size, 0, nullptr, 0), token);
  }
  /// Never blocks; the descriptor is closed when the last operation in flight has ended.
  void close() noexcept;

 private:
  template <typename Token>
  auto start(detail::request what, std::uint64_t offset, void* data, std::size_t bytes, Token& token) {
    return asio::async_initiate<Token, void(std::error_code, std::size_t)>(
        detail::initiate_file<detail::count_result>(ex_, state_, what, offset, data, bytes), token);
  }

  executor_type ex_;
  std::shared_ptr<detail::file_state> state_;
};

}  // namespace contrail::io
