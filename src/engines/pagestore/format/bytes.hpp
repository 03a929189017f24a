#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
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

/// Eight characters at byte 8 and a version at byte 16 tell what a block is.
void put_magic(byte_span block, std::string_view magic, std::uint32_t version) noexcept;
bool has_magic(const_byte_span block, std::string_view magic, std::uint32_t version) noexcept;

void put_signature(byte_span to, std::size_t at, const signature& value) noexcept;
signature get_signature(const_byte_span from, std::size_t at) noexcept;
void put_text(byte_span to, std::size_t at, std::string_view text) noexcept;
std::string get_text(const_byte_span from, std::size_t at, std::size_t length);

/// Nothing is written that its reader would refuse: throws errc::invalid_parameter with `what` unless it is so.
void require_encodable(bool is_so, const char* what);

/// XXH3-64 with a seed.
std::uint64_t checksum(std::uint64_t seed, const_byte_span content) noexcept;
bool all_zero(const_byte_span content) noexcept;

/// Every page and header begins with the checksum of all that follows it, by seed 0.
void seal_block(byte_span block) noexcept;
bool block_is_sealed(const_byte_span block) noexcept;

}  // namespace contrail::pagestore
