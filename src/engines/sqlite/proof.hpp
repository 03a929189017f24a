#pragma once

#include <cstdint>
#include <filesystem>

namespace contrail::sqlite {

/// SQLite's own check of a recovered database: `PRAGMA integrity_check`, and the number of pages. Leaves no trace beside the file. Blocks,
/// about as long as reading the file and its indexes takes. Fails with `errc::database_corrupted`.
void prove(const std::filesystem::path& database, std::uint64_t pages);

}  // namespace contrail::sqlite
