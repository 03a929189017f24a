#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstdint>
#include <vector>

/// The sectors of a log file, from its ninth on: each says whose it is and proves it.
namespace contrail::pagestore {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t sector_header_bytes = 32;
constexpr std::size_t sector_payload_bytes = sector_bytes - sector_header_bytes;
constexpr std::uint32_t first_sector = 8;

/// Offset in the file of byte `at` of the payload of a batch that begins in sector `first`.
constexpr std::uint64_t payload_offset(std::uint32_t first, std::size_t at) noexcept {
  return (std::uint64_t{first} + at / sector_payload_bytes) * sector_bytes + sector_header_bytes + at % sector_payload_bytes;
}

struct sector_header {
  std::uint32_t generation = 0;
  std::uint32_t index = 0;              ///< in the file
  std::uint32_t batch = 0;              ///< in the generation, from 1
  std::uint32_t index_in_batch = 0;
  std::uint32_t sectors_in_batch = 0;
  std::uint16_t used = 0;               ///< bytes of payload
};

enum class sector_state : std::uint8_t { zero, current, stale, damaged };
/// `log`: random part of the log signature. Fills `out` for current and stale ones.
sector_state examine_sector(const_byte_span sector, std::uint32_t generation, std::uint32_t index, std::uint64_t log, sector_header& out) noexcept;

/// The sectors of one batch: `payload` in as many as it takes, the last ones empty up to a whole number of `write_unit` bytes. Raises `chain`
/// by their check fields. `out` is replaced.
void encode_batch(const_byte_span payload, std::uint32_t generation, std::uint32_t first_index, std::uint32_t batch, std::uint32_t write_unit,
                  std::uint64_t log, std::uint64_t& chain, std::vector<std::byte>& out);
/// How many bytes of file `payload` bytes take; 2^32 - 1 for more than that.
std::uint32_t batch_bytes(std::size_t payload, std::uint32_t write_unit) noexcept;
/// The chain value behind a batch whose sectors stand one after the other in `sectors`.
std::uint64_t raise_chain(std::uint64_t chain, const_byte_span sectors);

}  // namespace contrail::pagestore
