#pragma once

#include <contrail/engine.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/restorer.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

struct sqlite3;

namespace contrail {

struct sqlite_functions;

/// Trivially destructible: pass a named object (GCC 12).
struct sqlite_options {
  std::chrono::milliseconds busy_timeout{5000};   ///< how long begin waits for somebody's exclusive lock
};

/// A SQLite database in WAL mode, reached through a connection of its own.
///
/// Named by its path it must be a database that only *other* processes have open: on POSIX systems closing any second descriptor of the
/// file drops the locks of a connection in this process, so claim refuses there a file that this process has open (-1207). (On Windows each
/// lock belongs to its handle: it is served.) A process backs up its own database by naming its connection instead (docs/guide.md, "In
/// your own process").
///
/// Refused as well: not WAL mode -516, incremental -526, a hot rollback journal or a recovery elsewhere -523, an exclusive lock elsewhere
/// -1207 after `busy_timeout`, several hard links, or a short name (Windows), -1023, no database -1206.
/// The source is never changed, but for what any leaving connection does: the last one merges the log into the database; by path, except
/// a log that a crashed application left. After a backup that succeeded a log with more than 4 MiB is merged by a passive checkpoint, so
/// that no writer does it within a commit. SQLite's calls block; they run on a worker of the engine.
class sqlite_engine final : public engine {
 public:
  sqlite_engine(asio::any_io_executor ex, std::filesystem::path database, sqlite_options options = {});
  sqlite_engine(io::file_system files, std::filesystem::path database, sqlite_options options = {});
  /// The database that the application has open as `connection` (its "main"). `sqlite` is the application's SQLite, see
  /// <contrail/engines/sqlite/functions.hpp>; everything goes through it, and it must allow several threads (SQLITE_THREADSAFE not 0).
  /// The connection is asked for the database's name and VFS here, on the calling thread, and never used again: it may work, or be
  /// closed, while a backup runs. The files are read in a way that leaves the process's locks alone (`io::open_options::lock_neutral`).
  /// Throws `contrail::error`: -1003 for a database without a file or a SQLite for one thread, `errc::source_replaced` when the name leads
  /// to another file by now (also later, when a backup begins).
  sqlite_engine(asio::any_io_executor ex, sqlite3* connection, const sqlite_functions& sqlite, sqlite_options options = {});
  sqlite_engine(io::file_system files, sqlite3* connection, const sqlite_functions& sqlite, sqlite_options options = {});
  ~sqlite_engine() override;

  asio::any_io_executor get_executor() const noexcept override;
  const engine_traits& traits() const noexcept override;
  std::error_code status() const noexcept override;
  [[nodiscard]] asio::awaitable<std::shared_ptr<void>> claim() override;
  [[nodiscard]] asio::awaitable<std::unique_ptr<pin>> begin(begin_request request) override;
  /// Joins the clean-up of sessions that were destroyed early. To be awaited before the engine is destroyed when there may be such.
  [[nodiscard]] asio::awaitable<void> close();

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

/// Turns the files of a SQLite set into one clean database file.
class sqlite_restorer final : public restorer {
 public:
  explicit sqlite_restorer(asio::any_io_executor ex);
  explicit sqlite_restorer(io::file_system files);
  ~sqlite_restorer() override;

  std::string_view engine() const noexcept override;
  [[nodiscard]] asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const manifest>> chain) override;
  [[nodiscard]] asio::awaitable<std::vector<std::string>> recover(const recovery& work) override;
  std::vector<std::string> companions(std::string_view file) const override;
  [[nodiscard]] asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override;
  bool before_replacing(const std::shared_ptr<void>& held) noexcept override;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace contrail
