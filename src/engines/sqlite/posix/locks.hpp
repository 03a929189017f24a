#pragma once

#include "engines/sqlite/system.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace contrail::sqlite {

inline int as_fd(const descriptor& file) noexcept { return static_cast<int>(file.get()); }

/// Takes all of SQLite's lock bytes, so that no other connection can read or write (`strong`), or at least none can write (the file is
/// not writable for us). False when somebody holds one of them. The lock belongs to the descriptor: SQLite in this process is kept out
/// too.
bool lock_out_others(const descriptor& database, bool strong) noexcept;
void unlock(const descriptor& database) noexcept;

/// A process that has one of these files open, in words; our own `except` does not count. Processes that we may not look into are passed
/// over.
std::optional<std::string> find_opener(std::span<const file_identity> files, int except);

}  // namespace contrail::sqlite
