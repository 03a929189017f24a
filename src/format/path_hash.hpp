#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace contrail {

/// 128 bits that stand for a path in tables whose size must be known. Chance makes no two alike.
struct path_hash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr auto operator<=>(const path_hash&, const path_hash&) = default;
};

path_hash hash_path(std::string_view path) noexcept;

}  // namespace contrail
