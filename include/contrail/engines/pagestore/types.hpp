#pragma once

#include <compare>
#include <cstdint>

namespace contrail::pagestore {

/// Number of a page in its database; 1 is the first. Page n lies at byte (n + 1) * page size of the file.
using page_no = std::uint32_t;

/// A database as an instance knows it, 1 to 6. Given anew at each attach.
struct database {
  std::uint8_t id = 0;
  friend constexpr bool operator==(const database&, const database&) = default;
};

/// Position of a record in the log: generation << 32 | byte offset of the record's first byte in its file.
struct lgpos {
  std::uint64_t value = 0;
  constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(value >> 32U); }
  constexpr std::uint32_t offset() const noexcept { return static_cast<std::uint32_t>(value); }
  friend constexpr auto operator<=>(const lgpos&, const lgpos&) = default;
};
constexpr lgpos make_lgpos(std::uint32_t generation, std::uint32_t offset) noexcept {
  return lgpos{(std::uint64_t{generation} << 32U) | offset};
}

/// Behind every position.
constexpr lgpos no_end{~std::uint64_t{0}};

/// Identity of a database or of a set of logs.
struct signature {
  std::uint64_t random = 0;
  std::uint64_t created = 0;   ///< nanoseconds since 1970, UTC
  friend constexpr bool operator==(const signature&, const signature&) = default;
};

constexpr unsigned most_databases = 6;                      ///< attached at once
constexpr std::uint32_t last_generation = 0x7fffffff;       ///< of a set of logs
constexpr std::uint32_t longest_database_path = 600;        ///< bytes, UTF-8

}  // namespace contrail::pagestore
