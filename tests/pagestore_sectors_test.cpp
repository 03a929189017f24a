#include "engines/pagestore/format/log_sector.hpp"

#include "support/pagestore_format.hpp"

#include <contrail/error.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

// The known bytes were worked out from the tables of the format by another program with another XXH3.

using namespace contrail::pagestore;
using contrail::test::flips_not_found;
using contrail::test::golden;

namespace {

constexpr std::uint64_t log_random = 0x2122232425262728;

std::vector<std::byte> numbered(std::size_t size) {
  std::vector<std::byte> payload(size);
  for (std::size_t i = 0; i < size; ++i) {
    payload[i] = static_cast<std::byte>(i % 251);
  }
  return payload;
}

std::vector<std::byte> batch_of(const_byte_span payload, std::uint32_t first, std::uint32_t unit) {
  std::vector<std::byte> out(7, std::byte{0xee});
  std::uint64_t chain = 0;
  encode_batch(payload, 10, first, 2, unit, log_random, chain, out);
  return out;
}

std::vector<std::byte> sector_of(const std::vector<std::byte>& batch, std::size_t i) {
  const const_byte_span part = const_byte_span(batch).subspan(i * sector_bytes, sector_bytes);
  return {part.begin(), part.end()};
}

sector_state examine(const_byte_span sector, std::uint32_t generation, std::uint32_t index) {
  sector_header header;
  return examine_sector(sector, generation, index, log_random, header);
}

/// A field changed and the check made anew.
template <typename T>
std::vector<std::byte> forged_sector(std::vector<std::byte> sector, std::size_t at, T value) {
  store<T>(sector, at, value);
  store<std::uint64_t>(sector, 0, checksum(log_random, const_byte_span(sector).subspan(8)));
  return sector;
}

}  // namespace

TEST_CASE("pagestore_sectors: the bytes of a batch, and the chain behind it", "[pagestore_sectors]") {
  std::vector<std::byte> out;
  std::uint64_t chain = 5;
  encode_batch(numbered(500), 10, 8, 2, 512, log_random, chain, out);
  REQUIRE(out.size() == 2 * sector_bytes);
  const std::vector<std::byte> first = sector_of(out, 0);
  CHECK(std::vector<std::byte>(first.begin(), first.begin() + 40) ==
        golden(40, {{0, "8ac7d7a0f6463172"}, {8, "0a00000008000000020000000000000002000000e0010000"}, {32, "0001020304050607"}}));
  CHECK(sector_of(out, 1) == golden(512, {{0, "23e3b87ef847bed8"},
                                          {8, "0a000000090000000200000001000000020000001400"},
                                          {32, "e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8"}}));
  CHECK(chain == 0x8f43a233aeefdada);
  CHECK(raise_chain(5, out) == chain);
  CHECK(raise_chain(6, out) != chain);
}

TEST_CASE("pagestore_sectors: batches of any length in both write units hold their payload", "[pagestore_sectors]") {
  for (const std::uint32_t unit : {512U, 4096U}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{8}, std::size_t{479}, std::size_t{480}, std::size_t{481}, std::size_t{3840},
                                   std::size_t{3841}, std::size_t{100000}}) {
      CAPTURE(unit, size);
      const std::vector<std::byte> payload = numbered(size);
      const std::vector<std::byte> batch = batch_of(payload, 16, unit);
      REQUIRE(batch.size() == batch_bytes(size, unit));
      CHECK(batch.size() % unit == 0);
      CHECK(batch.size() / sector_bytes * sector_payload_bytes >= size);
      CHECK((batch.size() - unit) / sector_bytes * sector_payload_bytes < size);
      std::vector<std::byte> gathered;
      for (std::uint32_t i = 0; i < batch.size() / sector_bytes; ++i) {
        const std::vector<std::byte> sector = sector_of(batch, i);
        sector_header header;
        REQUIRE(examine_sector(sector, 10, 16 + i, log_random, header) == sector_state::current);
        CHECK(header.generation == 10);
        CHECK(header.index == 16 + i);
        CHECK(header.batch == 2);
        CHECK(header.index_in_batch == i);
        CHECK(header.sectors_in_batch == batch.size() / sector_bytes);
        gathered.insert(gathered.end(), sector.begin() + sector_header_bytes, sector.begin() + sector_header_bytes + header.used);
        const std::size_t last = size - 1;
        if (last / sector_payload_bytes == i) {
          CHECK(batch[payload_offset(16, last) - 16 * sector_bytes] == payload.back());
        }
      }
      CHECK(gathered == payload);
    }
  }
  CHECK(batch_bytes(0, 512) == 0);
  CHECK(batch_bytes(1, 512) == 512);
  CHECK(batch_bytes(1, 4096) == 4096);
  CHECK(batch_bytes(3841, 4096) == 8192);
  CHECK(batch_bytes(std::size_t{1} << 40U, 512) == 0xffffffff);
  CHECK(batch_bytes(0xffffffff, 512) == 0xffffffff);
  CHECK(payload_offset(8, 0) == 4096 + 32);
  CHECK(payload_offset(8, 479) == 4096 + 511);
  CHECK(payload_offset(8, 480) == 4096 + 512 + 32);
}

TEST_CASE("pagestore_sectors: zero, current, stale and damaged are told apart", "[pagestore_sectors]") {
  const std::vector<std::byte> batch = batch_of(numbered(1000), 8, 512);
  const std::vector<std::byte> sector = sector_of(batch, 1);
  CHECK(examine(std::vector<std::byte>(512), 10, 9) == sector_state::zero);
  CHECK(examine(sector, 10, 9) == sector_state::current);
  CHECK(examine(sector, 11, 9) == sector_state::stale);
  CHECK(examine(sector, last_generation, 9) == sector_state::stale);
  CHECK(examine(sector, 9, 9) == sector_state::damaged);    // of a generation that is not there yet
  CHECK(examine(sector, 10, 8) == sector_state::damaged);   // at another place
  CHECK(examine(sector, 11, 10) == sector_state::damaged);
  sector_header header;
  CHECK(examine_sector(sector, 10, 9, log_random + 1, header) == sector_state::damaged);   // of other logs
  CHECK(examine_sector(const_byte_span(sector).first(511), 10, 9, log_random, header) == sector_state::damaged);
  CHECK(examine_sector(sector, 12, 9, log_random, header) == sector_state::stale);
  CHECK(header.generation == 10);
  CHECK(header.index_in_batch == 1);
  CHECK(header.sectors_in_batch == 3);
  CHECK(header.used == 480);
}

TEST_CASE("pagestore_sectors: each flipped bit is damage, in current and in stale ones", "[pagestore_sectors]") {
  for (std::size_t i = 0; i < 3; ++i) {
    const std::vector<std::byte> sector = sector_of(batch_of(numbered(1000), 8, 512), i);
    const auto index = static_cast<std::uint32_t>(8 + i);
    CHECK(flips_not_found(sector, [&](const_byte_span s) { return examine(s, 10, index) == sector_state::damaged; }) == 0);
    CHECK(flips_not_found(sector, [&](const_byte_span s) { return examine(s, 11, index) == sector_state::damaged; }) == 0);
  }
  CHECK(flips_not_found(std::vector<std::byte>(512), [](const_byte_span s) { return examine(s, 10, 8) == sector_state::damaged; }) == 0);
}

TEST_CASE("pagestore_sectors: fields out of bounds are damage though the check fits", "[pagestore_sectors]") {
  const std::vector<std::byte> sector = sector_of(batch_of(numbered(1000), 8, 512), 1);
  REQUIRE(examine(forged_sector<std::uint32_t>(sector, 16, 3), 10, 9) == sector_state::current);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 8, 0), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 16, 0), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 20, 3), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 20, 0xffffffff), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 20, 2), 10, 9) == sector_state::damaged);   // its batch would begin in the header
  CHECK(examine(forged_sector<std::uint32_t>(sector, 24, 0), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 24, 1), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint16_t>(sector, 28, 481), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint16_t>(sector, 28, 0), 10, 9) == sector_state::current);
  CHECK(examine(forged_sector<std::uint16_t>(sector, 30, 1), 10, 9) == sector_state::damaged);
  CHECK(examine(forged_sector<std::uint32_t>(sector, 12, 7), 10, 7) == sector_state::damaged);   // in the header
}

TEST_CASE("pagestore_sectors: a batch that no reader would take is not written", "[pagestore_sectors]") {
  std::vector<std::byte> out;
  std::uint64_t chain = 5;
  const std::vector<std::byte> payload = numbered(8);
  CHECK_THROWS_AS(encode_batch({}, 10, 8, 1, 512, log_random, chain, out), contrail::error);
  CHECK_THROWS_AS(encode_batch(payload, 0, 8, 1, 512, log_random, chain, out), contrail::error);
  CHECK_THROWS_AS(encode_batch(payload, last_generation + 1, 8, 1, 512, log_random, chain, out), contrail::error);
  CHECK_THROWS_AS(encode_batch(payload, 10, 7, 1, 512, log_random, chain, out), contrail::error);
  CHECK_THROWS_AS(encode_batch(payload, 10, 8, 0, 512, log_random, chain, out), contrail::error);
  CHECK(chain == 5);
}
