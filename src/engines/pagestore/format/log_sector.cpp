#include "engines/pagestore/format/log_sector.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace contrail::pagestore {
namespace {

constexpr std::size_t generation_at = 8;
constexpr std::size_t index_at = 12;
constexpr std::size_t batch_at = 16;
constexpr std::size_t index_in_batch_at = 20;
constexpr std::size_t sectors_in_batch_at = 24;
constexpr std::size_t used_at = 28;
constexpr std::size_t reserved_at = 30;

std::uint64_t check_of(const_byte_span sector, std::uint64_t log) noexcept { return checksum(log, sector.subspan(8)); }

bool in_bounds(const sector_header& header) noexcept {
  return header.batch >= 1 && header.index_in_batch < header.sectors_in_batch && header.index >= first_sector &&
         header.index - first_sector >= header.index_in_batch && header.used <= sector_payload_bytes;
}

}  // namespace

sector_state examine_sector(const_byte_span sector, std::uint32_t generation, std::uint32_t index, std::uint64_t log,
                            sector_header& out) noexcept {
  if (sector.size() != sector_bytes) {
    return sector_state::damaged;
  }
  if (all_zero(sector)) {
    return sector_state::zero;
  }
  sector_header header;
  header.generation = load<std::uint32_t>(sector, generation_at);
  header.index = load<std::uint32_t>(sector, index_at);
  header.batch = load<std::uint32_t>(sector, batch_at);
  header.index_in_batch = load<std::uint32_t>(sector, index_in_batch_at);
  header.sectors_in_batch = load<std::uint32_t>(sector, sectors_in_batch_at);
  header.used = load<std::uint16_t>(sector, used_at);
  if (load<std::uint64_t>(sector, 0) != check_of(sector, log) || header.index != index || !in_bounds(header) ||
      load<std::uint16_t>(sector, reserved_at) != 0 || header.generation == 0 || header.generation > generation) {
    return sector_state::damaged;
  }
  out = header;
  return header.generation == generation ? sector_state::current : sector_state::stale;
}

void encode_batch(const_byte_span payload, std::uint32_t generation, std::uint32_t first_index, std::uint32_t batch, std::uint32_t write_unit,
                  std::uint64_t log, std::uint64_t& chain, std::vector<std::byte>& out) {
  const std::uint32_t bytes = batch_bytes(payload.size(), write_unit);
  require_encodable(!payload.empty() && bytes != std::numeric_limits<std::uint32_t>::max() && generation >= 1 &&
                        generation <= last_generation && first_index >= first_sector && batch >= 1,
                    "a batch out of bounds");
  const auto sectors = static_cast<std::uint32_t>(bytes / sector_bytes);
  out.assign(bytes, std::byte{0});
  for (std::uint32_t i = 0; i < sectors; ++i) {
    const byte_span sector = byte_span(out).subspan(i * sector_bytes, sector_bytes);
    const const_byte_span rest = payload.subspan(std::min<std::size_t>(payload.size(), i * sector_payload_bytes));
    const const_byte_span part = rest.first(std::min(rest.size(), sector_payload_bytes));
    store<std::uint32_t>(sector, generation_at, generation);
    store<std::uint32_t>(sector, index_at, first_index + i);
    store<std::uint32_t>(sector, batch_at, batch);
    store<std::uint32_t>(sector, index_in_batch_at, i);
    store<std::uint32_t>(sector, sectors_in_batch_at, sectors);
    store<std::uint16_t>(sector, used_at, static_cast<std::uint16_t>(part.size()));
    std::copy(part.begin(), part.end(), sector.begin() + sector_header_bytes);
    store<std::uint64_t>(sector, 0, check_of(sector, log));
  }
  chain = raise_chain(chain, out);
}

std::uint32_t batch_bytes(std::size_t payload, std::uint32_t write_unit) noexcept {
  assert(write_unit > 0 && write_unit % sector_bytes == 0);
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  if (payload > most) {
    return most;
  }
  const std::uint64_t bytes = (std::uint64_t{payload} + sector_payload_bytes - 1) / sector_payload_bytes * sector_bytes;
  const std::uint64_t whole = (bytes + write_unit - 1) / write_unit * write_unit;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(whole, most));
}

std::uint64_t raise_chain(std::uint64_t chain, const_byte_span sectors) {
  assert(sectors.size() % sector_bytes == 0);
  const std::size_t count = sectors.size() / sector_bytes;
  std::vector<std::byte> checks(count * 8);
  for (std::size_t i = 0; i < count; ++i) {
    const const_byte_span check = sectors.subspan(i * sector_bytes, 8);
    std::copy(check.begin(), check.end(), checks.begin() + static_cast<std::ptrdiff_t>(i * 8));
  }
  return checksum(chain, checks);
}

}  // namespace contrail::pagestore
