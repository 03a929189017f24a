#pragma once

#include "failure.hpp"
#include "session/session_core.hpp"

#include <contrail/backup_session.hpp>

#include <asio/awaitable.hpp>
#include <asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// The bodies of the session's calls. Each runs on the session's strand, inside `run_call`, and keeps its guard as a parameter: everything
/// that a body refers to lives until its frame is gone.
namespace contrail::detail {

using guard_ptr = std::shared_ptr<call_guard>;

asio::awaitable<void> do_begin(guard_ptr in, engine* from);
asio::awaitable<std::vector<database_info>> do_databases(guard_ptr in);
asio::awaitable<mark> do_mark(guard_ptr in);
asio::awaitable<std::pair<file_handle, std::uint64_t>> do_open(guard_ptr in, std::string name);
asio::awaitable<std::size_t> do_read(guard_ptr in, file_handle handle, asio::mutable_buffer into);
asio::awaitable<void> do_close(guard_ptr in, file_handle handle);
asio::awaitable<bool> do_failed(guard_ptr in, database_id id);
asio::awaitable<void> do_copy(guard_ptr in, database_id id, set_writer* to, io::buffer_pool* pool, transfer_options options);
asio::awaitable<log_range> do_prepare_logs(guard_ptr in);
asio::awaitable<void> do_copy_logs(guard_ptr in, set_writer* to, io::buffer_pool* pool, transfer_options options);
asio::awaitable<std::string> do_state(guard_ptr in);
asio::awaitable<log_range> do_truncatable_logs(guard_ptr in);
asio::awaitable<log_range> do_truncate_logs(guard_ptr in);
asio::awaitable<std::error_code> do_end(guard_ptr in, backup_session::ending how);
asio::awaitable<void> do_abort(guard_ptr in);

/// Asks the table. Throws its refusal, after the clean-up where that is what the table says.
asio::awaitable<void> admit(guard_ptr in, session_call call, session_facts facts, std::string operation, std::string file);
/// What a failure inside the session does to all of it. To be awaited with cancellation disabled.
asio::awaitable<void> cancel_session(guard_ptr in, std::error_code why);
/// The attached databases, asked once.
asio::awaitable<void> load_databases(guard_ptr in);
/// Throws `e` as the caller is to see it: a cancellation that was not his own is answered with its reason.
[[noreturn]] void rethrow_for_caller(const call_guard& in, const std::exception_ptr& e, std::string_view operation);

/// Runs a body inside the session and translates what it throws.
template <typename T>
asio::awaitable<T> run_call(guard_ptr in, std::string_view operation, asio::awaitable<T> body) {
  in->enter();
  std::exception_ptr failure;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(body);
      co_return;
    } else {
      auto value = co_await std::move(body);
      co_return value;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  rethrow_for_caller(*in, failure, operation);
}

}  // namespace contrail::detail
