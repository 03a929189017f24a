#include "engines/pagestore/format/bytes.hpp"

#include <algorithm>

#include <xxhash.h>

namespace contrail::pagestore {

std::uint64_t checksum(std::uint64_t seed, const_byte_span content) noexcept {
  return XXH3_64bits_withSeed(content.data(), content.size(), seed);
}

bool all_zero(const_byte_span content) noexcept {
  return std::all_of(content.begin(), content.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace contrail::pagestore
