#pragma once

#include "place.hpp"
#include "system.hpp"
#include "wal_format.hpp"

#include <contrail/engines/sqlite/functions.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace contrail::sqlite {

/// Somebody wants a blocking call to come back. Shared between the loop and the worker.
using stop_flag = std::shared_ptr<std::atomic<bool>>;

/// The SQLite that Contrail itself is linked with.
const sqlite_functions& linked_sqlite() noexcept;

/// How the database is come by.
struct access_way {
  access_way() : sql(linked_sqlite()) {}
  sqlite_functions sql;
  std::string vfs;                 ///< empty: SQLite's default
  file_identity identity;          ///< in process: of the file that the application has open
  bool in_process = false;         ///< this process has the database open, through `sql`: no descriptor of it may be closed here
};

/// Turns a result code of SQLite into `contrail::error`. `db` may be null.
[[noreturn]] void fail_by_sqlite(const sqlite_functions& sql, sqlite3* db, int code, const std::string& operation, const std::string& path);

/// What the shared index says of the log: every frame up to here has been committed and must be in the log's file.
struct log_floor {
  std::uint32_t frames = 0;
  std::uint32_t salt1 = 0, salt2 = 0;
  wal_sums sums;                   ///< running checksum at that frame
};

/// The connection that pins a snapshot. All members block, and run on a worker; one at a time.
class reader {
 public:
  /// Opens and pins. `stop` makes it give up at once with `operation_aborted`.
  reader(const place& where, const access_way& way, std::chrono::milliseconds busy_timeout, stop_flag stop);
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  ~reader();

  std::uint32_t page_bytes() const noexcept { return page_bytes_; }
  std::uint64_t pages() const noexcept { return pages_; }
  const std::filesystem::path& log_path() const noexcept { return log_path_; }
  file_identity log_identity() const noexcept { return log_identity_; }
  /// Length of the log now. Any thread; never waits.
  std::uint64_t log_bytes() const noexcept { return log_.bytes(); }

  /// Fails unless the snapshot is still pinned (-801) and database, log and index are still the files that were pinned
  /// (`errc::source_replaced`).
  void check() const;
  /// Lets go of the snapshot, and has the log that grew meanwhile merged here, without keeping anybody waiting: otherwise the next writer
  /// would do it within its commit. What cannot be done is left to that writer.
  void release_and_merge() noexcept;
  /// Nothing when the index is of a kind that we do not know.
  std::optional<log_floor> floor() const;

 private:
  void open_and_pin(std::chrono::milliseconds busy_timeout);
  void look_at_files(bool in_process);
  std::uint64_t ask(const char* pragma) const;

  place where_;
  sqlite_functions sql_;
  struct waiting;
  std::unique_ptr<waiting> waiting_;
  sqlite3* db_ = nullptr;
  bool may_merge_ = true;          ///< not a log that a crashed application left
  std::uint32_t page_bytes_ = 0;
  std::uint64_t pages_ = 0;
  std::filesystem::path log_path_, index_path_;
  descriptor log_;
  file_identity log_identity_;
  std::optional<file_identity> index_identity_;   ///< nothing: the index is in memory (VFS unix-excl), nobody else can come in
};

}  // namespace contrail::sqlite
