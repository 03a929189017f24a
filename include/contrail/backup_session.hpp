#pragma once

#include <contrail/engine.hpp>
#include <contrail/error.hpp>
#include <contrail/io/buffer_pool.hpp>
#include <contrail/manifest.hpp>
#include <contrail/observer.hpp>
#include <contrail/progress.hpp>
#include <contrail/sink.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace contrail {

namespace detail {
class session_core;
struct session_access;
}

/// Options of one session. Trivially destructible: pass a named object (GCC 12).
struct session_options {
  kind what = kind::full;
  bool strict = false;                       ///< conformance: also refuse misaligned buffers (decision D8) and short first reads (D7)
  read_policy reads{};
  observer* events = nullptr;                ///< outlives the session
  struct progress* progress = nullptr;       ///< outlives the session
  std::chrono::seconds max_pin_age{0};       ///< 0: no limit; reached: `errc::pin_too_old`
  std::uint64_t max_log_growth = 0;          ///< bytes; 0: no limit; reached: `errc::pin_too_large`
};

/// How a phase moves its bytes.
struct transfer_options {
  unsigned lanes = 8;                        ///< chunks in flight
  std::uint64_t rate_limit = 0;              ///< bytes a second; 0: none
};

/// An open file of a session. 0 is a valid value.
struct file_handle {
  std::uint32_t value = 0;
};

/// Asks a session to stop, from anywhere. Copyable; any thread, at any time; harmless after the session's end.
class stop_handle {
 public:
  stop_handle() = default;
  /// Cancels reads in flight; they and every later call but close, end and abort answer -801 (ESE specification, section 3.10).
  void stop() const noexcept;

 private:
  friend class backup_session;
  explicit stop_handle(std::weak_ptr<detail::session_core> core) : core_(std::move(core)) {}
  std::weak_ptr<detail::session_core> core_;
};

/// One run of the backup protocol on an instance (ESE specification, table 2.3 with the decisions of the architecture).
///
/// Move-only. Members may be awaited from any executor and come back to it; calls are serialised on the session's strand. Cancelling a
/// member (terminal) cancels that call; a cancelled begin leaves no pin. Failures are `contrail::error`. The context must outlive the
/// session object. A session must not be destroyed while one of its own members is awaited by the same coroutine chain.
class backup_session {
 public:
  /// An empty session: every call answers -520.
  backup_session() noexcept;
  backup_session(backup_session&&) noexcept;
  backup_session& operator=(backup_session&&) noexcept;
  /// Still running: the clean-up goes to the engine's scope; begin answers -505 until it is done.
  ~backup_session();

  /// Order of checks as ESE specification 4.1: status, kind, claim (-505), the engine's own begin.
  [[nodiscard]] static asio::awaitable<backup_session> begin(engine& from, session_options options,
                                                            std::shared_ptr<const manifest> parent = nullptr);

  [[nodiscard]] asio::awaitable<std::vector<database_info>> databases();
  /// The engine's mark of this backup.
  [[nodiscard]] asio::awaitable<mark> marked();

  // One open file at a time, read from front to back, as the C facade sees it.

  /// Opens an attached database by name, or, once the logs were prepared, a log of the list. Returns the bytes that `read` will deliver.
  [[nodiscard]] asio::awaitable<std::pair<file_handle, std::uint64_t>> open(std::string name);
  /// Fills `into` as far as the file goes; 0 at its end. A second read at the same time answers -521.
  [[nodiscard]] asio::awaitable<std::size_t> read(file_handle file, asio::mutable_buffer into);
  [[nodiscard]] asio::awaitable<void> close(file_handle file);

  // Whole phases, as backup() sees them.

  /// Copies all files of a database into the set. A bad page fails this database only: what there was of it is dropped from the set, it
  /// leaves the session, and `failed` says so. After any other failure, and after a cancellation, the set can only be aborted.
  [[nodiscard]] asio::awaitable<void> copy(database_id id, set_writer& to, io::buffer_pool& pool, transfer_options options);
  /// Did this database leave the session because it could not be read? The set then holds nothing of it and may go on.
  [[nodiscard]] asio::awaitable<bool> failed(database_id id);
  /// Closes the log generation, once; again: same answer. A failure, also a cancellation, ends the session (decision D3).
  [[nodiscard]] asio::awaitable<log_range> prepare_logs();
  [[nodiscard]] asio::awaitable<void> copy_logs(set_writer& to, io::buffer_pool& pool, transfer_options options);
  /// The engine's opaque state, and its last check that the source is still the one that was pinned. After copy_logs.
  [[nodiscard]] asio::awaitable<std::string> state();
  /// What `truncate_logs` would delete (ESE specification, section 6.1).
  [[nodiscard]] asio::awaitable<log_range> truncatable_logs();
  [[nodiscard]] asio::awaitable<log_range> truncate_logs();

  /// normal_truncated: the caller saw to the logs himself (JET_bitBackupTruncateDone).
  enum class ending : std::uint8_t { normal, normal_truncated, abort };
  /// normal: -800 before everything was read, -801 after a stop (decision D2). Returns the error of writing the backup's record, if any:
  /// the backup stays good (event 219).
  [[nodiscard]] asio::awaitable<std::error_code> end(ending how);
  /// The way out, in every state, also after the end. On return pin and claim are released. Not cancellable once it began; a coroutine
  /// that was cancelled itself disables cancellation before it awaits this, as before any await of a clean-up.
  [[nodiscard]] asio::awaitable<void> abort();

  stop_handle stopper() const noexcept;

  // Token forms: started on `ex`; completion signature void(std::exception_ptr, T), or void(std::exception_ptr).

  template <typename Token>
  static auto async_begin(asio::any_io_executor ex, engine& from, session_options options, std::shared_ptr<const manifest> parent,
                          Token&& token) {
    return asio::co_spawn(std::move(ex), begin(from, options, std::move(parent)), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_databases(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), databases(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_marked(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), marked(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_open(asio::any_io_executor ex, std::string name, Token&& token) {
    return asio::co_spawn(std::move(ex), open(std::move(name)), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_read(asio::any_io_executor ex, file_handle file, asio::mutable_buffer into, Token&& token) {
    return asio::co_spawn(std::move(ex), read(file, into), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_close(asio::any_io_executor ex, file_handle file, Token&& token) {
    return asio::co_spawn(std::move(ex), close(file), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_copy(asio::any_io_executor ex, database_id id, set_writer& to, io::buffer_pool& pool, transfer_options options,
                  Token&& token) {
    return asio::co_spawn(std::move(ex), copy(id, to, pool, options), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_prepare_logs(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), prepare_logs(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_copy_logs(asio::any_io_executor ex, set_writer& to, io::buffer_pool& pool, transfer_options options, Token&& token) {
    return asio::co_spawn(std::move(ex), copy_logs(to, pool, options), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_state(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), state(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_truncatable_logs(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), truncatable_logs(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_truncate_logs(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), truncate_logs(), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_end(asio::any_io_executor ex, ending how, Token&& token) {
    return asio::co_spawn(std::move(ex), end(how), std::forward<Token>(token));
  }
  template <typename Token>
  auto async_abort(asio::any_io_executor ex, Token&& token) {
    return asio::co_spawn(std::move(ex), abort(), std::forward<Token>(token));
  }

 private:
  friend struct detail::session_access;
  explicit backup_session(std::shared_ptr<detail::session_core> core) noexcept;
  std::shared_ptr<detail::session_core> core_;
};

}  // namespace contrail
