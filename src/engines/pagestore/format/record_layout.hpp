#pragma once

#include "engines/pagestore/format/log_record.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

/// Where the fields of records stand: what their builder and their reader share. Offsets count from the record's first byte, in a change from
/// the change's.
namespace contrail::pagestore::layout {

constexpr std::size_t length_at = 8;
constexpr std::size_t type_at = 12;
constexpr std::size_t flags_at = 13;
constexpr std::size_t record_reserved_at = 14;
constexpr std::size_t time_at = 16;
constexpr std::uint8_t known_flags = record_durable | record_engine;

// commit: u16 databases, u16 0, u32 changes, the databases, the changes.
constexpr std::size_t commit_databases_at = record_header_bytes;
constexpr std::size_t commit_changes_at = record_header_bytes + 4;
constexpr std::size_t commit_head_bytes = record_header_bytes + 8;
// A touched database, in commit and recovered: u8 id, 7 x 0, u64 dbtime.
constexpr std::size_t touched_bytes = 16;

// A change: u8 index of the database, u8 kind, u16 count, u32 page, u64 dbtime before; body; padded to 8.
constexpr std::size_t change_bytes = 16;
// image: u16 kind of page, u16 hole, u16 hole length, u16 0, payload without the hole.
constexpr std::size_t image_bytes = 8;
// delta: `count` times u16 offset, u16 length, the bytes.
constexpr std::size_t piece_bytes = 4;
// format: u16 kind of page.
constexpr std::size_t format_bytes = 2;
// Equal bytes between two differing ones that make two pieces of them.
constexpr std::size_t piece_gap = 8;

// create, attach, detach: u8 id, 3 x 0, u32 page size, signature; create and attach also u64 dbtime, u32 pages, u16 path length, u16 0,
// u64 position at which the file had become clean, signature of the logs then, path.
constexpr std::size_t page_size_at = record_header_bytes + 4;
constexpr std::size_t signature_at = record_header_bytes + 8;
constexpr std::size_t detach_bytes = record_header_bytes + 24;
constexpr std::size_t dbtime_at = record_header_bytes + 24;
constexpr std::size_t pages_at = record_header_bytes + 32;
constexpr std::size_t path_length_at = record_header_bytes + 36;
constexpr std::size_t path_reserved_at = record_header_bytes + 38;
constexpr std::size_t cleaned_at = record_header_bytes + 40;
constexpr std::size_t last_log_at = record_header_bytes + 48;
constexpr std::size_t path_at = record_header_bytes + 64;

// recovered: u64 end, u16 databases, 6 x 0, the databases.
constexpr std::size_t recovered_databases_at = record_header_bytes + 8;
constexpr std::size_t recovered_head_bytes = record_header_bytes + 16;

// backup: u8 phase, scope, type, id, u32 0, u64 mark, u64 time, u32 low, u32 high.
constexpr std::size_t mark_at = record_header_bytes + 8;
constexpr std::size_t backup_time_at = record_header_bytes + 16;
constexpr std::size_t low_at = record_header_bytes + 24;
constexpr std::size_t high_at = record_header_bytes + 28;
constexpr std::size_t backup_bytes = record_header_bytes + 32;
constexpr std::uint8_t last_phase = 6;

constexpr bool is_database_id(unsigned id) noexcept { return id >= 1 && id <= most_databases; }
constexpr bool is_page_no(page_no n) noexcept { return n >= 1 && n <= largest_page_no; }
/// May an image or a format make such a page? A trailer is in copies alone.
constexpr bool is_logged_kind(std::uint16_t kind) noexcept {
  return kind >= static_cast<std::uint16_t>(page_kind::data) && kind <= static_cast<std::uint16_t>(page_kind::free);
}
/// Known ids, each once?
inline bool are_touched(std::span<const touched_database> databases) noexcept {
  unsigned seen = 0;
  for (const touched_database& touched : databases) {
    if (!is_database_id(touched.id) || (seen & (1U << touched.id)) != 0) {
      return false;
    }
    seen |= 1U << touched.id;
  }
  return databases.size() <= most_databases;
}
inline bool is_database_record(const database_record& content, record_type type) noexcept {
  const bool created = type != record_type::create ||
                       (is_page_size(content.page_size) && content.pages >= 1 && content.pages <= largest_page_no);
  const bool path = type == record_type::detach || (!content.path.empty() && content.path.size() <= longest_database_path);
  return is_database_id(content.id) && created && path;
}
inline bool is_backup_event(const backup_event& content) noexcept {
  return content.phase >= 1 && content.phase <= last_phase && content.id <= most_databases && content.low <= last_generation &&
         content.high <= last_generation;
}

}  // namespace contrail::pagestore::layout
