#pragma once

#include <contrail/backup_session.hpp>
#include <contrail/engine.hpp>
#include <contrail/io/backend.hpp>
#include <contrail/sink.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace contrail {

/// Options of backup(). Trivially destructible: pass a named object (GCC 12). What is pointed to outlives the operation.
struct backup_options {
  kind what = kind::full;
  bool truncate_logs = false;                          ///< delete logs that the set makes superfluous, after the commit
  std::uint64_t rate_limit = 0;                        ///< bytes a second; 0: none
  std::size_t memory = std::size_t{64} << 20;          ///< bytes, the whole budget: buffers and tables; at least 1 MiB
  unsigned lanes = 8;                                  ///< chunks in flight
  std::span<const std::string_view> databases{};       ///< names or restore names; empty: all
  read_policy reads{};
  std::chrono::seconds max_pin_age{0};                 ///< 0: no limit (decision D17)
  std::uint64_t max_log_growth = 0;                    ///< bytes; 0: no limit
  observer* events = nullptr;
  struct progress* progress = nullptr;
};

/// What a backup did.
struct backup_report {
  backup_report() = default;
  std::string set;
  kind what = kind::full;
  std::string engine;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t pages = 0;
  std::uint64_t pages_retried = 0;
  double seconds = 0;
  std::vector<std::pair<std::string, std::error_code>> failed_databases;   ///< left out of the set
  log_range truncated;                                                     ///< logs that were deleted
  std::error_code recorded;     ///< not success: the set is good, but the engine does not count it
  std::error_code truncation;   ///< not success: the set is good, truncation stopped there
};

/// Takes one backup: begin, databases, logs, commit, truncate, end. Everything is undone on failure or cancellation (terminal): pin and
/// claim released, set discarded. Resumes on the caller's executor. Fails with `contrail::error`. When a database fails and others do
/// not, the set holds the others and the report names it; when all fail, the operation fails. Nothing is made in the sink before the
/// engine has let the backup begin and has listed its databases.
/// Cancellation counts until the commit begins and fails with `asio::error::operation_aborted`. From then on it is ignored: the operation
/// ends as if it had not come, with the set in place or with the commit's own error. A process that was suspended past a limit of the pin
/// fails with `errc::pin_too_old` or `errc::pin_too_large` before the commit; a limit reached later is told in `recorded`.
/// `parent` is needed for incremental and differential: the set whose mark the engine recorded. It must be in `to`, with all that it builds on;
/// else, where the sink can tell (a repository can), the backup fails with `errc::missing_full_backup`, before anything is copied or, should it be
/// taken away meanwhile, before the commit: no set, nothing recorded, no logs deleted.
/// `from`, `to` and what the options point to must outlive the operation.
[[nodiscard]] asio::awaitable<backup_report> backup(engine& from, sink& to, backup_options options = {},
                                                   std::shared_ptr<const manifest> parent = nullptr);

/// Token form, started on `ex`: void(std::exception_ptr, backup_report).
template <typename Token>
auto async_backup(asio::any_io_executor ex, engine& from, sink& to, backup_options options, Token&& token) {
  return asio::co_spawn(std::move(ex), backup(from, to, options), std::forward<Token>(token));
}

}  // namespace contrail
