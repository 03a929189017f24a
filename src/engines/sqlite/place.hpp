#pragma once

#include "slots.hpp"
#include "system.hpp"
#include "wal_format.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

namespace contrail::sqlite {

/// A database that was looked at and is fit for a backup. Holds its slot.
struct place {
  place() = default;
  std::filesystem::path path;      ///< links resolved, as SQLite does it
  std::string name;                ///< the file's name as the caller gave it: what a restore brings back
  file_identity identity;
  std::shared_ptr<void> slot;
};

/// Looks at the database before anybody opens it with SQLite, which would roll back a hot journal, and before a lock file is made, so
/// that a refused run leaves nothing behind. Blocks. Fails with `contrail::error` in words for the operator.
place examine(const std::filesystem::path& database);
/// The same for a database that this process itself has open: neither the file nor a journal is opened, SQLite looks at them itself.
place examine_open(const std::filesystem::path& database);
/// The part of `examine` that reads the file: is it (still) a database in WAL mode that needs no rollback? The slot is held, and this
/// process has no connection to the file. Blocks.
void check_content(const std::filesystem::path& path);

/// `errc::file_access_denied`, `errc::file_not_found`, `errc::database_locked` or the system's own code.
[[noreturn]] void fail_by_code(std::error_code ec, const std::string& operation, const std::filesystem::path& path);

}  // namespace contrail::sqlite
