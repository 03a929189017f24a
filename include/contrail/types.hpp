#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace contrail {

/// Position in an engine's log stream: ESE generation, WAL segment, salt. Only the engine interprets it.
using generation = std::uint64_t;

/// Half-open range of generations [first, end).
struct log_range {
  generation first = 0;
  generation end = 0;
  constexpr bool empty() const noexcept { return first >= end; }
  friend constexpr bool operator==(const log_range&, const log_range&) = default;
};

/// `count` pages from page `first` on. Page numbers are the engine's own.
struct page_range {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// Kinds of backup (ESE specification, section 1.4). `copy` is a full that does not count as the base of later ones (decision D1).
enum class kind : std::uint8_t { full, copy, incremental, differential };
/// Does a set of this kind build on another one? An incremental or differential does.
constexpr bool is_chained(kind k) noexcept { return k == kind::incremental || k == kind::differential; }
/// "full", "copy", "incremental", "differential".
std::string_view to_string(kind k) noexcept;
/// False when `text` is none of the four; `out` is then unchanged.
bool parse_kind(std::string_view text, kind& out) noexcept;

/// Identity of a backup in the engine's log. The engine makes it; nobody passes one in.
struct mark {
  std::uint64_t position = 0;          ///< engine's own unit
  std::int64_t unix_nanoseconds = 0;   ///< wall clock, UTC
  friend constexpr bool operator==(const mark&, const mark&) = default;
};

/// Number of a database within one session.
struct database_id {
  std::uint32_t value = 0;
  friend constexpr bool operator==(const database_id&, const database_id&) = default;
};

}  // namespace contrail
