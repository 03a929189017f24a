#pragma once

#include "wal_format.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace contrail::sqlite {

/// What the manifest keeps for the restorer (docs/repository-format.md): what the file and the log of a set must turn out to be.
struct engine_state {
  engine_state() = default;
  std::string database;            ///< name of the file in the set
  std::string log;                 ///< name of the log in the set; empty: the set has none
  std::uint32_t page_bytes = 0;
  std::uint64_t file_pages = 0;    ///< as copied, before the log is applied
  std::uint64_t pages = 0;         ///< of the final state
  std::uint32_t frames = 0;        ///< of the log, up to its last commit
  std::uint32_t salt1 = 0, salt2 = 0;
  wal_sums sums;                   ///< running checksum at the last of these frames

  std::string write() const;
  /// Fails with `errc::set_damaged`, or `errc::format_unknown` for a newer version.
  static engine_state read(std::string_view text);
};

}  // namespace contrail::sqlite
