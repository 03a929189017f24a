#include "hold_target.hpp"

#include "place.hpp"
#include "system.hpp"

#include <contrail/error.hpp>

#include <sqlite3.h>

#include <system_error>

namespace contrail::sqlite {

namespace {

constexpr const char* holding = "replace the database";

struct held_target {
  std::shared_ptr<void> slot;   ///< goes last: see `take_slot`
  std::unique_ptr<target_hold> hold;
};

bool has_content(const std::filesystem::path& path) noexcept {
  const auto facts = look_at(path);
  return facts && facts->bytes != 0;
}

/// Whatever fails here may fail: the old database is about to be replaced, and may be replaced because it is damaged.
void merge_leftovers(const std::filesystem::path& path) noexcept {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(for_sqlite(path).c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK) {
    // The read rolls back a hot journal, and makes the connection know its log: without it a checkpoint does nothing.
    sqlite3_exec(db, "PRAGMA schema_version; PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr);
  }
  sqlite3_close_v2(db);
}

}  // namespace

std::shared_ptr<void> hold_target(const std::filesystem::path& file) {
  std::error_code ec;
  const std::filesystem::path path = resolve(file, ec);
  if (ec) {
    fail_by_code(ec, holding, file);
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
  out->hold = make_target_hold(path, facts->identity);
  out->hold->lock();
  if (has_content(beside(path, "-wal")) || has_content(beside(path, "-journal"))) {
    // SQLite's locks and ours exclude each other. Whoever comes in between is found by the second look.
    out->hold->unlock();
    merge_leftovers(path);
    out->hold->lock();
  }
  out->hold->look_again();
  return out;
}

bool before_replacing(const std::shared_ptr<void>& held) noexcept {
  return held != nullptr && static_cast<held_target*>(held.get())->hold->before_replacing();
}

}  // namespace contrail::sqlite
