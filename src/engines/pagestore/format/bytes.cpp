#include "engines/pagestore/format/bytes.hpp"

#include <contrail/error.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace contrail::pagestore {

std::uint64_t checksum(std::uint64_t seed, const_byte_span content) noexcept {
  return XXH3_64bits_withSeed(content.data(), content.size(), seed);
}

bool all_zero(const_byte_span content) noexcept {
  // Zeros are equal to what stands one further: comparing memory is many times as fast as a loop over bytes.
  return content.empty() || (content[0] == std::byte{0} && std::memcmp(content.data(), content.data() + 1, content.size() - 1) == 0);
}

void seal_block(byte_span block) noexcept { store<std::uint64_t>(block, 0, checksum(0, block.subspan(8))); }

bool block_is_sealed(const_byte_span block) noexcept { return load<std::uint64_t>(block, 0) == checksum(0, block.subspan(8)); }

void put_signature(byte_span to, std::size_t at, const signature& value) noexcept {
  store<std::uint64_t>(to, at, value.random);
  store<std::uint64_t>(to, at + 8, value.created);
}

signature get_signature(const_byte_span from, std::size_t at) noexcept {
  return {load<std::uint64_t>(from, at), load<std::uint64_t>(from, at + 8)};
}

void put_text(byte_span to, std::size_t at, std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    to[at + i] = static_cast<std::byte>(text[i]);
  }
}

std::string get_text(const_byte_span from, std::size_t at, std::size_t length) {
  std::string text;
  text.reserve(length);
  for (const std::byte b : from.subspan(at, length)) {
    text.push_back(static_cast<char>(b));
  }
  return text;
}

void require_encodable(bool is_so, const char* what) {
  if (!is_so) {
    fail(errc::invalid_parameter, "write a structure of pagestore", "", std::nullopt, "what its reader takes", what);
  }
}

void put_magic(byte_span block, std::string_view magic, std::uint32_t version) noexcept {
  assert(magic.size() == 8);
  put_text(block, 8, magic);
  store<std::uint32_t>(block, 16, version);
}

bool has_magic(const_byte_span block, std::string_view magic, std::uint32_t version) noexcept {
  for (std::size_t i = 0; i < magic.size(); ++i) {
    if (block[8 + i] != static_cast<std::byte>(magic[i])) {
      return false;
    }
  }
  return load<std::uint32_t>(block, 16) == version;
}

}  // namespace contrail::pagestore
