#include "place.hpp"

#include <contrail/error.hpp>
#include <contrail/manifest.hpp>

#include <fmt/format.h>

#include <system_error>

namespace contrail::sqlite {

namespace {

constexpr const char* looking = "look at the database";

void refuse_hot_journal(const std::filesystem::path& path) {
  const std::filesystem::path journal = beside(path, "-journal");
  const auto facts = look_at(journal);
  if (!facts || facts->bytes == 0) {
    return;
  }
  std::error_code ignored;
  const descriptor file = open_for_reading(journal, ignored);
  const std::string front = read_front(file, 1);
  // SQLite takes a journal that begins with a zero for a finished one.
  if (!file || front.empty() || front[0] != '\0') {
    fail(errc::backup_not_allowed_yet, looking, path.string(), {}, "a database without unfinished transactions",
         "the rollback journal " + journal.filename().string() +
             " stands beside it: a transaction is running or was interrupted; open the database once with its application, then try again");
  }
}

}  // namespace

void fail_by_code(std::error_code ec, const std::string& operation, const std::filesystem::path& path) {
  if (ec == std::errc::no_such_file_or_directory) {
    fail(errc::file_not_found, operation, path.string(), {}, {}, "there is no such file");
  }
  if (ec == std::errc::not_a_directory) {
    fail(errc::invalid_path, operation, path.string(), {}, {}, "a part of the path is not a directory");
  }
  if (is_kept_by_others(ec)) {
    fail(errc::database_locked, operation, path.string(), {}, "a database that others may read", "another process keeps it to itself");
  }
  if (ec == std::errc::permission_denied || ec == std::errc::operation_not_permitted || ec == std::errc::read_only_file_system) {
    fail(errc::file_access_denied, operation, path.string(), {},
         "rights to read the database and to create files beside it (SQLite needs its -shm file, a backup its lock)", ec.message());
  }
  fail(ec, operation, path.string());
}

void check_content(const std::filesystem::path& path) {
  std::error_code ec;
  const descriptor file = open_for_reading(path, ec);
  if (!file) {
    fail_by_code(ec, "open the database", path);
  }
  const std::string front = read_front(file, database_header_bytes);
  if (front.empty()) {
    fail(errc::database_corrupted, looking, path.string(), 0, "a SQLite database", "the file is empty: no database has been written to it yet");
  }
  const auto header = parse_database_header(front);
  if (!header) {
    fail(errc::database_corrupted, looking, path.string(), 0, "a SQLite database",
         "the file does not begin with the header of a SQLite 3 database (another kind of file, or an encrypted one)");
  }
  if (header->write_version == 1 || header->read_version == 1) {
    fail(errc::logging_disabled, looking, path.string(), 18, "journal mode WAL",
         "a rollback journal, which cannot be backed up while writers run; run PRAGMA journal_mode=WAL on the database once");
  }
  if (header->write_version != 2 || header->read_version != 2) {
    fail(errc::database_corrupted, looking, path.string(), 18, "file format version 2",
         fmt::format("versions {} and {}", header->write_version, header->read_version));
  }
  refuse_hot_journal(path);
}

namespace {

/// Nobody uses the database, so that opening it would make its -wal and -shm anew: ours, and not to be written by who owns the
/// database. (SQLite gives them to the owner only where it runs as root.)
void refuse_to_lock_out(const std::filesystem::path& path) {
  if (may_write(path) || look_at(beside(path, "-shm"))) {
    return;
  }
  fail(errc::file_access_denied, looking, path.string(), {}, "the right to write the database",
       "none, and nobody has it open: the -wal and -shm that SQLite makes would keep its owner out. Run the backup as the owner of the "
       "database, or while the application runs");
}

/// All that can be known without opening anything.
place look_at_name(const std::filesystem::path& database) {
  std::error_code ec;
  place out;
  out.path = resolve(database, ec);
  if (ec) {
    fail_by_code(ec, looking, database);
  }
  out.name = database.filename().string();
  const auto facts = look_at(out.path, ec);
  if (!facts) {
    fail_by_code(ec, looking, database);
  }
  if (!facts->regular) {
    fail(errc::file_invalid_type, looking, database.string(), {}, "a database file", facts->directory ? "a directory" : "no regular file");
  }
  if (!is_safe_name(out.name)) {
    fail(errc::unsafe_path, looking, database.string(), {}, "a file name that can be restored on any system", out.name);
  }
  if (facts->links > 1) {
    // SQLite keeps log and locks under the name by which a process opened the database: under another name they are not seen.
    fail(errc::invalid_path, looking, database.string(), {}, "a database with one name",
         fmt::format("{} hard links to it; the log stands beside one of them only. Remove the others, or use symbolic links", facts->links));
  }
  out.identity = facts->identity;
  out.slot = take_slot(out.identity);
  if (!out.slot) {
    fail(errc::backup_in_progress, "claim the database", database.string(), {}, {}, "this process runs a backup or restore of it already");
  }
  return out;
}

}  // namespace

place examine_open(const std::filesystem::path& database) { return look_at_name(database); }

place examine(const std::filesystem::path& database) {
  place out = look_at_name(database);
  const std::optional<bool> open = closing_drops_locks(out.identity);
  if (!open) {
    fail(errc::database_locked, "claim the database", database.string(), {}, "a system that tells whether this process has the database open",
         "no /proc/self/fd");
  }
  if (*open) {
    // Closing our descriptor would take the locks of that connection away, and SQLite would lose transactions.
    fail(errc::database_locked, "claim the database", database.string(), {}, "a database that only other processes have open",
         "this process itself has it open; give the engine that connection instead of the path, or take the backup from another process");
  }
  check_content(out.path);
  refuse_to_lock_out(out.path);
  return out;
}

}  // namespace contrail::sqlite
