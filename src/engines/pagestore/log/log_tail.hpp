#pragma once

#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/log_sector.hpp"

#include <cstdint>

namespace contrail::pagestore {

/// Where a set of logs ends, and what goes on from there.
struct log_tail {
  log_tail() = default;
  log_header header;             ///< of the last generation
  std::uint32_t end = 0;         ///< byte offset of the first sector behind its last whole batch
  std::uint32_t batch = 0;       ///< number of that batch; 0: none
  std::uint64_t chain = 0;       ///< behind that batch
  bool closed = false;           ///< it ends with "end of generation"
  bool numbered = false;         ///< its file has a number already (no `<base>.log` is there)
  /// Where the next record would begin.
  lgpos position() const noexcept { return make_lgpos(header.generation, end + static_cast<std::uint32_t>(sector_header_bytes)); }
};

}  // namespace contrail::pagestore
