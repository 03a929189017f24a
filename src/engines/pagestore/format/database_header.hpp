#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <array>
#include <cstdint>
#include <optional>

/// The header of a database file: twins in the first two pages.
namespace contrail::pagestore {

enum class database_state : std::uint32_t { being_created = 1, dirty = 2, clean = 3 };

/// A backup that the database remembers (ESE specification, section 4.5).
struct backup_record {
  std::uint64_t mark = 0;       ///< lgpos
  std::uint64_t time = 0;       ///< nanoseconds since 1970
  std::uint32_t low = 0;        ///< generations, both in the set
  std::uint32_t high = 0;
  std::uint32_t type = 0;
  friend constexpr bool operator==(const backup_record&, const backup_record&) = default;
};
enum backup_slot : std::size_t { full_previous, incremental_previous, copy_previous, differential_previous, full_current, snapshot_current };
constexpr std::size_t backup_slots = 6;

struct database_header {
  std::uint32_t page_size = 0;
  std::uint64_t update = 0;
  signature database;
  signature log;                          ///< of the last attach; zero: never
  database_state state = database_state::being_created;
  std::uint32_t id = 0;
  std::uint32_t min_required = 0;         ///< generations; 0 when clean
  std::uint32_t max_required = 0;
  std::uint32_t max_committed = 0;
  std::uint32_t pages = 0;                ///< exact in a copy, else informative
  std::uint64_t dbtime = 0;               ///< at least; exact when clean
  lgpos attached;
  lgpos cleaned;
  lgpos redo;                             ///< published when this was written
  std::array<backup_record, backup_slots> backups{};
  friend bool operator==(const database_header&, const database_header&) = default;
};

/// The whole page, `header.page_size` bytes, with its checksum. Throws errc::invalid_parameter for a header that `decode_header` would refuse.
void encode_header(const database_header& header, byte_span page);
/// Nothing when it is no valid header of a page of this size, or not at all. `page` may be longer than the page size that it tells; the
/// smallest is 4096 bytes.
std::optional<database_header> decode_header(const_byte_span page) noexcept;

}  // namespace contrail::pagestore
