#pragma once

#include "engines/pagestore/format/page.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstdint>
#include <optional>

/// The last page of a copied database: what a restore must have with it. Never in a live file.
namespace contrail::pagestore {

struct database_trailer {
  std::uint64_t mark = 0;                 ///< of the backup: lgpos
  std::uint64_t time = 0;                 ///< nanoseconds since 1970
  std::uint32_t low = 0;                  ///< generations, both in the set
  std::uint32_t high = 0;
  std::uint32_t min_required = 0;
  std::uint32_t max_required = 0;
  std::uint32_t max_committed = 0;
  std::uint32_t pages = 0;                ///< N: pages 1 to N stand before it
  signature database;
  signature log;
  std::uint64_t dbtime = 0;
  friend bool operator==(const database_trailer&, const database_trailer&) = default;
};

/// The whole page with its checksum. Throws errc::invalid_parameter for what `decode_trailer` would refuse.
void encode_trailer(const database_trailer& trailer, byte_span page);
/// Nothing when it is no good trailer. Whether it belongs to a database tells its `database` alone.
std::optional<database_trailer> decode_trailer(const_byte_span page) noexcept;

}  // namespace contrail::pagestore
