#include "reader.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/error.hpp>
#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>
#include <system_error>
#include <thread>

namespace contrail::sqlite {

const sqlite_functions& linked_sqlite() noexcept {
  static const sqlite_functions all = sqlite_of_this_program();
  return all;
}

void fail_by_sqlite(const sqlite_functions& sql, sqlite3* db, int code, const std::string& operation, const std::string& path) {
  const std::string said = db != nullptr ? sql.errmsg(db) : sql.errstr(code);
  const std::error_code system(db != nullptr ? sql.system_errno(db) : 0, std::system_category());
  if (code == SQLITE_BUSY_RECOVERY) {
    fail(errc::backup_not_allowed_yet, operation, path, {}, {}, "another process recovers the database; try again when it is done");
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      fail(errc::database_locked, operation, path, {}, "a database that others may read",
           "another process holds it exclusively (locking_mode=EXCLUSIVE, VACUUM, or a change of its journal mode)");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      fail(errc::database_corrupted, operation, path, {}, "a sound SQLite database", said);
    case SQLITE_NOMEM:
      fail(errc::out_of_memory, operation, path);
    case SQLITE_FULL:
      fail(errc::disk_full, operation, path, {}, {}, said);
    case SQLITE_CANTOPEN:
      if (system == std::errc::no_such_file_or_directory) {
        fail(errc::file_not_found, operation, path, {}, {}, said);
      }
      [[fallthrough]];
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      fail(errc::file_access_denied, operation, path, {}, "rights to read the database and to create or write its -shm file",
           system ? said + ", " + system.message() : said);
    default:
      fail(errc::disk_io, operation, path, {}, {},
           fmt::format("SQLite: {} (code {}{})", said, code, system ? ", " + system.message() : std::string()));
  }
}

/// Context of SQLite's busy handler.
struct reader::waiting {
  std::chrono::steady_clock::time_point until;
  stop_flag stop;

  static int call(void* self, int times) noexcept {
    const auto* const me = static_cast<const waiting*>(self);
    if (me->stop->load() || std::chrono::steady_clock::now() >= me->until) {
      return 0;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(times < 10 ? 1 : 10));
    return 1;
  }
};

reader::reader(const place& where, const access_way& way, std::chrono::milliseconds busy_timeout, stop_flag stop)
    : where_(where), sql_(way.sql), waiting_(new waiting) {
  waiting_->stop = std::move(stop);
  waiting_->until = std::chrono::steady_clock::now() + busy_timeout;
  bool abandoned = false;
  if (!way.in_process) {
    // A header that says "rollback journal", or a hot journal, must never be shown to SQLite: it would roll back, and change the source.
    check_content(where_.path);
    // SQLite's last connection to leave moves the log into the database and deletes it. That is as it should be when we outlast the
    // application (it could not do that itself because of us), and it also removes the empty files that our own coming made. A log
    // that a crashed application left behind is another matter: it is not ours to touch.
    const auto log = look_at(beside(where_.path, "-wal"));
    abandoned = log && log->bytes != 0 && !others_hold_locks(where_.path);
  }
  try {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const int opened = sql_.open_v2(for_sqlite(where_.path).c_str(), &db_, flags, way.vfs.empty() ? nullptr : way.vfs.c_str());
    if (opened != SQLITE_OK) {
      fail_by_sqlite(sql_, db_, opened, "open the database", where_.path.string());
    }
    if (abandoned) {
      sql_.keep_log_on_close(db_);
      may_merge_ = false;
    }
    open_and_pin(busy_timeout);
    look_at_files(way.in_process);
    check();
  } catch (...) {
    sql_.close_v2(db_);
    throw;
  }
}

reader::~reader() {
  sql_.exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  // v2: also when a statement were left over.
  sql_.close_v2(db_);
}

void reader::release_and_merge() noexcept {
  // What SQLite's own automatic checkpoints leave in a log is not worth it. Counted in frames: a log that is begun anew keeps its length.
  constexpr std::uint64_t usual_log = std::uint64_t{4} << 20;
  bool worth_it = may_merge_;
  try {
    check();
    const std::optional<log_floor> log = floor();
    worth_it = worth_it && log && std::uint64_t{log->frames} * page_bytes_ > usual_log;
  } catch (...) {
    worth_it = false;   // these are not the database's own files any more
  }
  if (sql_.exec(db_, "ROLLBACK", nullptr, nullptr, nullptr) != SQLITE_OK || !worth_it) {
    return;
  }
  // A connection that has not read since knows no log, and merges nothing. Passive: waits for nobody, and nobody waits for it.
  sql_.exec(db_, "PRAGMA schema_version; PRAGMA wal_checkpoint(PASSIVE)", nullptr, nullptr, nullptr);
}

void reader::open_and_pin(std::chrono::milliseconds busy_timeout) {
  const std::string path = where_.path.string();
  sql_.extended_result_codes(db_, 1);
  sql_.busy_handler(db_, &waiting::call, waiting_.get());
  sql_.wal_autocheckpoint(db_, 0);
  // BEGIN alone pins nothing; the first read does. schema_version reads page 1 without parsing the schema, which may need functions or
  // modules that only the application has.
  int code = sql_.exec(db_, "PRAGMA query_only=1; BEGIN; PRAGMA schema_version", nullptr, nullptr, nullptr);
  if (waiting_->stop->load()) {
    throw std::system_error(asio::error::operation_aborted);
  }
  if (code != SQLITE_OK) {
    if ((code & 0xff) == SQLITE_BUSY && code != SQLITE_BUSY_RECOVERY) {
      fail(errc::database_locked, "pin the database", path, {}, "a database that others may read",
           fmt::format("another connection held it exclusively for {} ms (locking_mode=EXCLUSIVE, recovery, or a change of its journal mode)",
                       busy_timeout.count()));
    }
    fail_by_sqlite(sql_, db_, code, "pin the database", path);
  }
  std::string mode;
  const auto keep = [](void* out, int columns, char** values, char**) noexcept {
    if (columns == 1 && values[0] != nullptr) {
      *static_cast<std::string*>(out) = values[0];
    }
    return 0;
  };
  code = sql_.exec(db_, "PRAGMA journal_mode", keep, &mode, nullptr);
  if (code != SQLITE_OK) {
    fail_by_sqlite(sql_, db_, code, "pin the database", path);
  }
  if (mode != "wal") {
    fail(errc::logging_disabled, "pin the database", path, {}, "journal mode WAL", "journal mode " + mode);
  }
  page_bytes_ = static_cast<std::uint32_t>(ask("PRAGMA page_size"));
  pages_ = ask("PRAGMA page_count");
}

std::uint64_t reader::ask(const char* pragma) const {
  sqlite3_stmt* statement = nullptr;
  int code = sql_.prepare_v2(db_, pragma, -1, &statement, nullptr);
  std::uint64_t out = 0;
  if (code == SQLITE_OK) {
    code = sql_.step(statement);
    out = static_cast<std::uint64_t>(sql_.column_int64(statement, 0));
  }
  sql_.finalize(statement);
  if (code != SQLITE_ROW) {
    fail_by_sqlite(sql_, db_, code, pragma, where_.path.string());
  }
  return out;
}

void reader::look_at_files(bool in_process) {
  log_path_ = io::to_path(sql_.filename_wal(sql_.db_filename(db_, "main")));
  index_path_ = beside(where_.path, "-shm");
  // Neither log nor this descriptor carries locks: closing it harms nobody. (The -shm does; it must never be opened here.)
  std::error_code ec;
  log_ = open_for_reading(log_path_, ec);
  if (!log_) {
    fail_by_code(ec, "open the write-ahead log", log_path_);
  }
  const auto log = look_at(log_path_);
  const auto index = look_at(index_path_);
  if (log) {
    log_identity_ = log->identity;
  }
  if (index) {
    index_identity_ = index->identity;
  } else if (!in_process) {
    fail(errc::source_replaced, "pin the database", index_path_.string(), {}, "the shared index of the log", "no file: it was removed");
  }
}

void reader::check() const {
  const std::string path = where_.path.string();
  if (sql_.txn_state(db_, "main") != SQLITE_TXN_READ) {
    fail(errc::backup_abort_by_server, "keep the database pinned", path, {}, {}, "SQLite ended the reading transaction");
  }
  bool moved = false;
  const int code = has_moved(sql_, db_, where_.path, moved);
  if (code != SQLITE_OK) {
    fail_by_sqlite(sql_, db_, code, "check the database's file", path);
  }
  const auto now = look_at(where_.path);
  if (moved || !now || now->identity != where_.identity) {
    fail(errc::source_replaced, "check the database's file", path, {}, "the file that the backup began with",
         now ? "another file: it was replaced" : "no file: it was removed");
  }
  refuse_other_log(where_.path);
  const auto log = look_at(log_path_);
  const auto index = look_at(index_path_);
  // A process that finds no log, or no index, makes a new one and goes on there: nothing that it commits would be in the backup, and
  // nothing keeps it from overwriting what is being copied.
  const bool same_index = index ? index_identity_ == index->identity : !index_identity_;
  if (!log || log->identity != log_identity_ || !same_index) {
    fail(errc::source_replaced, "check the database's file", (log && log->identity == log_identity_ ? index_path_ : log_path_).string(), {},
         "the file that the backup began with", "removed or replaced; every process must close the database, it may be damaged");
  }
}

std::optional<log_floor> reader::floor() const {
  // The index is mapped by the connection already; its own descriptor must not be opened and closed here (locks). It begins with two
  // copies of a header, which are equal unless a writer is at work (walformat.html, section 2.1).
  sqlite3_file* file = nullptr;
  if (sql_.file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == nullptr || file->pMethods == nullptr ||
      file->pMethods->iVersion < 2) {
    return {};
  }
  void volatile* mapped = nullptr;
  if (file->pMethods->xShmMap(file, 0, 32768, 0, &mapped) != SQLITE_OK || mapped == nullptr) {
    return {};
  }
  struct index_header {
    std::uint32_t version, unused, change;
    std::uint8_t initialized, big_endian;
    std::uint16_t page_bytes;
    std::uint32_t frames, pages, sums[2], salts[2], own_sums[2];
  };
  static_assert(sizeof(index_header) == 48);
  const auto copy = [mapped](std::size_t which) noexcept {
    index_header out{};
    auto* const to = reinterpret_cast<unsigned char*>(&out);
    const auto* const from = static_cast<const volatile unsigned char*>(mapped) + which * sizeof out;
    for (std::size_t i = 0; i < sizeof out; ++i) {
      to[i] = from[i];
    }
    return out;
  };
  for (int tries = 0; tries < 100; ++tries) {
    const index_header first = copy(0);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const index_header second = copy(1);
    if (std::memcmp(&first, &second, sizeof first) == 0) {
      if (first.version != 3007000 || first.initialized == 0) {
        return {};
      }
      // The salts are kept as they stand in the log's file: in its byte order.
      const auto* const salts = reinterpret_cast<const unsigned char*>(first.salts);
      log_floor out;
      out.frames = first.frames;
      out.salt1 = read_big_endian(salts);
      out.salt2 = read_big_endian(salts + 4);
      out.sums = {first.sums[0], first.sums[1]};
      return out;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

}  // namespace contrail::sqlite
