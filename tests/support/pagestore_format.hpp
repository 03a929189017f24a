#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

/// Bytes written down, and bytes gone bad.
namespace contrail::test {

struct written {
  std::size_t at = 0;
  std::string_view hex;
};

inline std::byte hex_digit(char c) { return static_cast<std::byte>(c <= '9' ? c - '0' : c - 'a' + 10); }

/// `size` bytes: these at their places, zeros elsewhere.
inline std::vector<std::byte> golden(std::size_t size, std::initializer_list<written> parts) {
  std::vector<std::byte> out(size);
  for (const written& part : parts) {
    for (std::size_t i = 0; i < part.hex.size() / 2; ++i) {
      out.at(part.at + i) = hex_digit(part.hex[2 * i]) << 4 | hex_digit(part.hex[2 * i + 1]);
    }
  }
  return out;
}

/// How many single flipped bits `found` does not find in `content`.
template <typename Found>
std::size_t flips_not_found(std::vector<std::byte> content, const Found& found) {
  std::size_t missed = 0;
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    content[bit / 8] ^= mask;
    if (!found(pagestore::const_byte_span(content))) {
      ++missed;
    }
    content[bit / 8] ^= mask;
  }
  return missed;
}

/// Sets a field of a sealed block and seals it again: what only the check of the field itself can find.
template <typename T>
std::vector<std::byte> forged(std::vector<std::byte> block, std::size_t at, T value) {
  pagestore::store<T>(block, at, value);
  pagestore::seal_block(block);
  return block;
}

}  // namespace contrail::test
