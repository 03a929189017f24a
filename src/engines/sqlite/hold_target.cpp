#include "hold_target.hpp"

#include "place.hpp"
#include "posix.hpp"

#include <contrail/error.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::sqlite {

namespace {

constexpr const char* holding = "replace the database";

/// SQLite's lock on the file that is to be replaced. A process that opened it meanwhile waits for that lock, and would then work on the
/// old file, which has no name any more, but put its log beside the new one, by name: poison. So the old file, once nothing leads to it, is
/// made "not a database" before the lock goes.
struct held_target {
  held_target() = default;
  held_target(const held_target&) = delete;
  held_target& operator=(const held_target&) = delete;
  ~held_target() {
    if (!file || !writable) {
      return;
    }
    struct stat facts {};
    if (::fstat(file.get(), &facts) == 0 && facts.st_nlink == 0) {
      const char nothing[16] = {};
      // Should it fail there is nothing better to do.
      [[maybe_unused]] const auto ignored = ::pwrite(file.get(), nothing, sizeof nothing, 0);
    }
  }
  std::shared_ptr<void> slot;   ///< goes last: see `take_slot`
  descriptor file;              ///< its lock goes with it
  bool writable = false;
};

/// The database's file and whatever stands beside it under SQLite's names.
std::vector<file_identity> identities(const std::filesystem::path& path, file_identity database) {
  std::vector<file_identity> out;
  out.push_back(database);
  for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
    if (const auto facts = look_at(beside(path, suffix))) {
      out.push_back(facts->identity);
    }
  }
  return out;
}

void refuse_openers(const std::filesystem::path& path, file_identity database, const descriptor& own) {
  const std::vector<file_identity> files = identities(path, database);
  if (const auto opener = find_opener(files, own.get())) {
    fail(errc::database_locked, holding, path.string(), {}, "a database that nobody has open", *opener + " has it open; stop it first");
  }
}

void lock_or_refuse(const std::filesystem::path& path, const descriptor& file, bool writable) {
  if (!lock_out_others(file, writable)) {
    fail(errc::database_locked, holding, path.string(), {}, "a database that nobody has open", "a process holds a lock on it; stop it first");
  }
}

bool has_content(const std::filesystem::path& path) noexcept {
  const auto facts = look_at(path);
  return facts && facts->bytes != 0;
}

/// Whatever fails here may fail: the old database is about to be replaced, and may be replaced because it is damaged.
void merge_leftovers(const std::filesystem::path& path) noexcept {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK) {
    // The read rolls back a hot journal, and makes the connection know its log: without it a checkpoint does nothing.
    sqlite3_exec(db, "PRAGMA schema_version; PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  }
  sqlite3_close_v2(db);
}

}  // namespace

std::shared_ptr<void> hold_target(const std::filesystem::path& file) {
  std::error_code ec;
  const std::filesystem::path path = std::filesystem::canonical(file, ec);
  if (ec) {
    fail_by_errno(ec.value(), holding, file);
  }
  const auto facts = look_at(path);
  if (!facts || !facts->regular) {
    fail(errc::file_invalid_type, holding, path.string(), {}, "a file", facts && facts->directory ? "a directory" : "no regular file");
  }
  auto out = std::make_shared<held_target>();
  out->slot = take_slot(facts->identity);
  if (!out->slot) {
    fail(errc::database_locked, holding, path.string(), {}, {}, "this process runs a backup or another restore of it");
  }
  // Before we open it ourselves: closing would take the locks of a connection in this process away.
  if (!open_in_this_process(facts->identity)) {
    fail(errc::database_locked, holding, path.string(), {}, "a system that tells who has the database open", "no /proc/self/fd");
  }
  refuse_openers(path, facts->identity, descriptor());
  bool writable = true;
  out->file = descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!out->file && (errno == EACCES || errno == EPERM || errno == EROFS || errno == ETXTBSY)) {
    writable = false;
    out->file = open_for_reading(path);
  }
  if (!out->file) {
    fail_by_errno(errno, holding, path);
  }
  out->writable = writable;
  lock_or_refuse(path, out->file, writable);
  if (has_content(beside(path, "-wal")) || has_content(beside(path, "-journal"))) {
    // SQLite's locks and ours exclude each other. Whoever comes in between is found by the second look.
    unlock(out->file);
    merge_leftovers(path);
    lock_or_refuse(path, out->file, writable);
  }
  refuse_openers(path, facts->identity, out->file);
  return out;
}

}  // namespace contrail::sqlite
