#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// Little-endian fields of the files, and their checksum.
namespace contrail::pagestore {

using byte_span = std::span<std::byte>;
using const_byte_span = std::span<const std::byte>;

template <typename T>
T load(const_byte_span from, std::size_t at) noexcept {
  static_assert(std::is_unsigned_v<T>);
  T out = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) out = static_cast<T>(out | static_cast<T>(static_cast<T>(from[at + i]) << (8 * i)));
  return out;
}

template <typename T>
void store(byte_span to, std::size_t at, T value) noexcept {
  static_assert(std::is_unsigned_v<T>);
  for (std::size_t i = 0; i < sizeof(T); ++i) to[at + i] = static_cast<std::byte>((value >> (8 * i)) & 0xffU);
}

/// XXH3-64 with a seed.
std::uint64_t checksum(std::uint64_t seed, const_byte_span content) noexcept;
bool all_zero(const_byte_span content) noexcept;

}  // namespace contrail::pagestore
