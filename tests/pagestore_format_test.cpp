#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/page.hpp"
#include "engines/pagestore/format/trailer.hpp"

#include "support/pagestore_format.hpp"

#include <contrail/error.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

// The known bytes were worked out from the tables of the format by another program with another XXH3.

using namespace contrail::pagestore;
using contrail::test::flips_not_found;
using contrail::test::forged;
using contrail::test::golden;

namespace {

constexpr std::array<std::uint32_t, 4> page_sizes{4096, 8192, 16384, 32768};
constexpr signature database_signature{0x0102030405060708, 0x1112131415161718};
constexpr signature log_signature{0x2122232425262728, 0x3132333435363738};
constexpr std::uint64_t page_signature = 0xa1a2a3a4a5a6a7a8;

std::vector<std::byte> sample_page() {
  std::vector<std::byte> page(4096);
  page_header header;
  header.number = 7;
  header.kind = page_kind::data;
  header.dbtime = 0x1122334455667788;
  header.signature = page_signature;
  put_page_header(page, header);
  put_text(page, page_header_bytes, "payload");
  seal_page(page, make_lgpos(3, 0x1020));
  return page;
}

database_header sample_header() {
  database_header header;
  header.page_size = 4096;
  header.update = 9;
  header.database = database_signature;
  header.log = log_signature;
  header.state = database_state::dirty;
  header.id = 2;
  header.min_required = 3;
  header.max_required = 5;
  header.max_committed = 6;
  header.pages = 100;
  header.dbtime = 77;
  header.attached = make_lgpos(3, 0x1020);
  header.cleaned = make_lgpos(2, 0x2020);
  header.redo = make_lgpos(4, 0x3020);
  for (std::uint32_t i = 0; i < backup_slots; ++i) {
    header.backups[i] = {make_lgpos(i + 1, 0x1000).value, 1000 + i, i + 1, i + 2, i};
  }
  return header;
}

std::vector<attached_database> sample_list() {
  std::vector<attached_database> list(2);
  list[0].id = 3;
  list[0].flags = attached_no_more;
  list[0].cleaned = make_lgpos(8, 0x1020);
  list[0].database = database_signature;
  list[0].dbtime = 77;
  list[0].path = "/db/a.edb";
  list[1].id = 1;
  list[1].database = log_signature;
  list[1].dbtime = 78;
  list[1].path = "b";
  return list;
}

std::vector<attached_database> long_list(std::size_t count) {
  std::vector<attached_database> list(count);
  for (std::size_t i = 0; i < count; ++i) {
    list[i].id = static_cast<std::uint32_t>(i + 1);
    list[i].path = std::string(longest_database_path, static_cast<char>('a' + i));
  }
  return list;
}

log_header sample_log_header() {
  log_header header;
  header.page_size = 8192;
  header.file_bytes = 262144;
  header.log = log_signature;
  header.generation = 10;
  header.previous_end = 0x1400;
  header.created = 111;
  header.previous_created = 99;
  header.previous_chain = 0x4142434445464748;
  header.base_name = {'e', 'd', 'b', '\0'};
  header.write_unit = 4096;
  header.attached = sample_list();
  return header;
}

checkpoint_block sample_checkpoint() {
  checkpoint_block value;
  value.page_size = 8192;
  value.update = 9;
  value.log = log_signature;
  value.redo = make_lgpos(10, 0x1020);
  value.base_name = {'e', 'd', 'b', '\0'};
  value.attached = sample_list();
  return value;
}

database_trailer sample_trailer() {
  database_trailer trailer;
  trailer.mark = make_lgpos(3, 0x1020).value;
  trailer.time = 1000;
  trailer.low = 3;
  trailer.high = 5;
  trailer.min_required = 3;
  trailer.max_required = 5;
  trailer.max_committed = 6;
  trailer.pages = 100;
  trailer.database = database_signature;
  trailer.log = log_signature;
  trailer.dbtime = 77;
  return trailer;
}

std::vector<std::byte> block_of(const database_header& header) {
  std::vector<std::byte> page(header.page_size);
  encode_header(header, page);
  return page;
}

std::vector<std::byte> block_of(const log_header& header) {
  std::vector<std::byte> block(log_header_bytes, std::byte{0xee});
  encode_log_header(header, block);
  return block;
}

std::vector<std::byte> block_of(const checkpoint_block& value) {
  std::vector<std::byte> block(checkpoint_bytes, std::byte{0xee});
  encode_checkpoint(value, block);
  return block;
}

std::vector<std::byte> block_of(const database_trailer& trailer) {
  std::vector<std::byte> page(4096, std::byte{0xee});
  encode_trailer(trailer, page);
  return page;
}

constexpr auto first_entry = "0300000001000000080706050403020118171615141312114d0000000000000009002f64622f612e656462";
constexpr auto second_entry = "0100000000000000282726252423222138373635343332314e00000000000000010062";

}  // namespace

TEST_CASE("pagestore_format: the bytes of a page", "[pagestore_format]") {
  CHECK(sample_page() == golden(4096, {{0, "4e8183a56784f5e4"},
                                       {8, "0700000001000000"},
                                       {16, "8877665544332211"},
                                       {24, "2010000003000000"},
                                       {32, "a8a7a6a5a4a3a2a1"},
                                       {40, "7061796c6f6164"}}));
}

TEST_CASE("pagestore_format: the bytes of a database header", "[pagestore_format]") {
  CHECK(block_of(sample_header()) ==
        golden(4096, {{0, "89cc22d1cf943abf"},
                      {8, "4354524c5047444201000000001000000900000000000000"},
                      {32, "08070605040302011817161514131211"},
                      {48, "28272625242322213837363534333231"},
                      {64, "020000000200000003000000050000000600000064000000"},
                      {88, "4d00000000000000201000000300000020200000020000002030000004000000"},
                      {128, "0010000001000000e803000000000000010000000200000000000000"},
                      {168, "0010000002000000e903000000000000020000000300000001000000"},
                      {208, "0010000003000000ea03000000000000030000000400000002000000"},
                      {248, "0010000004000000eb03000000000000040000000500000003000000"},
                      {288, "0010000005000000ec03000000000000050000000600000004000000"},
                      {328, "0010000006000000ed03000000000000060000000700000005000000"}}));
}

TEST_CASE("pagestore_format: the bytes of a log header", "[pagestore_format]") {
  const std::vector<std::byte> block = block_of(sample_log_header());
  CHECK(block == golden(4096, {{0, "8f3ce874ffcb52cb"},
                               {8, "4354524c50474c4701000000002000000000040000000000"},
                               {32, "28272625242322213837363534333231"},
                               {48, "0a000000001400006f0000000000000063000000000000004847464544434241"},
                               {80, "656462000200000000100000"},
                               {128, first_entry}, {768, "2010000008000000"},
                               {788, second_entry}}));
  CHECK(first_chain(block) == 0x0b7c680c6c538b01);
}

TEST_CASE("pagestore_format: the bytes of a checkpoint", "[pagestore_format]") {
  CHECK(block_of(sample_checkpoint()) == golden(4096, {{0, "6789f2ff3a0d4d79"},
                                                       {8, "4354524c5047434b01000000002000000900000000000000"},
                                                       {32, "28272625242322213837363534333231"},
                                                       {48, "201000000a0000006564620002000000"},
                                                       {128, first_entry}, {768, "2010000008000000"},
                                                       {788, second_entry}}));
}

TEST_CASE("pagestore_format: the bytes of a copy's trailer", "[pagestore_format]") {
  CHECK(block_of(sample_trailer()) == golden(4096, {{0, "4e806b81c4fce15d"},
                                                    {8, "00000000040000004d00000000000000"},
                                                    {32, "0807060504030201"},
                                                    {40, "2010000003000000e803000000000000"},
                                                    {56, "030000000500000003000000050000000600000064000000"},
                                                    {80, "08070605040302011817161514131211"},
                                                    {96, "28272625242322213837363534333231"},
                                                    {112, "4d00000000000000"}}));
}

TEST_CASE("pagestore_format: what is written is read again, of every page size", "[pagestore_format]") {
  for (const std::uint32_t page_size : page_sizes) {
    database_header header = sample_header();
    header.page_size = page_size;
    CHECK(decode_header(block_of(header)) == header);
    log_header log = sample_log_header();
    log.page_size = page_size;
    log.file_bytes = 1U << 30U;
    CHECK(decode_log_header(block_of(log)) == log);
    checkpoint_block checkpoint = sample_checkpoint();
    checkpoint.page_size = page_size;
    CHECK(decode_checkpoint(block_of(checkpoint)) == checkpoint);
    std::vector<std::byte> page(page_size);
    encode_trailer(sample_trailer(), page);
    CHECK(decode_trailer(page) == sample_trailer());
  }
  CHECK(decode_header(block_of([] { database_header fresh; fresh.page_size = 4096; return fresh; }())).has_value());
  const page_header page = get_page_header(sample_page());
  CHECK(page.number == 7);
  CHECK(page.kind == page_kind::data);
  CHECK(page.dbtime == 0x1122334455667788);
  CHECK(page.changed == make_lgpos(3, 0x1020));
  CHECK(page.signature == page_signature);
}

TEST_CASE("pagestore_format: a header is read from a longer buffer, not from a shorter one", "[pagestore_format]") {
  std::vector<std::byte> buffer = block_of(sample_header());
  buffer.resize(32768, std::byte{0xab});
  CHECK(decode_header(buffer) == sample_header());
  database_header large = sample_header();
  large.page_size = 8192;
  const std::vector<std::byte> page = block_of(large);
  CHECK_FALSE(decode_header(const_byte_span(page).first(4096)));
  CHECK_FALSE(decode_header(const_byte_span(page).first(8191)));
  CHECK_FALSE(decode_header({}));
  CHECK_FALSE(decode_log_header(const_byte_span(block_of(sample_log_header())).first(4095)));
  CHECK_FALSE(decode_checkpoint(const_byte_span(block_of(sample_checkpoint())).first(4095)));
  CHECK_FALSE(decode_trailer(const_byte_span(page).first(4095)));
}

TEST_CASE("pagestore_format: each flipped bit of a block is found", "[pagestore_format]") {
  CHECK(flips_not_found(sample_page(), [](const_byte_span b) { return examine_page(b, 7, page_signature) == page_state::damaged; }) == 0);
  CHECK(flips_not_found(block_of(sample_header()), [](const_byte_span b) { return !decode_header(b); }) == 0);
  CHECK(flips_not_found(block_of(sample_log_header()), [](const_byte_span b) { return !decode_log_header(b); }) == 0);
  CHECK(flips_not_found(block_of(sample_checkpoint()), [](const_byte_span b) { return !decode_checkpoint(b); }) == 0);
  CHECK(flips_not_found(block_of(sample_trailer()), [](const_byte_span b) { return !decode_trailer(b); }) == 0);
}

TEST_CASE("pagestore_format: a page tells whether it is good, blank, damaged or of another place", "[pagestore_format]") {
  const std::vector<std::byte> page = sample_page();
  CHECK(examine_page(page, 7, page_signature) == page_state::good);
  CHECK(examine_page(page, 8, page_signature) == page_state::misplaced);
  CHECK(examine_page(page, 7, page_signature + 1) == page_state::misplaced);
  CHECK(examine_page(std::vector<std::byte>(4096), 7, page_signature) == page_state::blank);
  CHECK(examine_page(std::vector<std::byte>(32768), 1, 0) == page_state::blank);
  std::vector<std::byte> one(4096);
  one.back() = std::byte{1};
  CHECK(examine_page(one, 7, page_signature) == page_state::damaged);
  CHECK(examine_page(const_byte_span(page).first(39), 7, page_signature) == page_state::damaged);
  // Fields that no page has, though the checksum fits.
  CHECK(examine_page(forged<std::uint16_t>(page, 12, 0), 7, page_signature) == page_state::damaged);
  CHECK(examine_page(forged<std::uint16_t>(page, 12, 5), 7, page_signature) == page_state::damaged);
  CHECK(examine_page(forged<std::uint16_t>(page, 12, 4), 7, page_signature) == page_state::damaged);
  CHECK(examine_page(forged<std::uint16_t>(page, 14, 1), 7, page_signature) == page_state::damaged);
  CHECK(examine_page(forged<std::uint32_t>(page, 8, 0), 0, page_signature) == page_state::damaged);
  for (const std::uint16_t kind : std::array<std::uint16_t, 3>{1, 2, 3}) {
    CHECK(examine_page(forged<std::uint16_t>(page, 12, kind), 7, page_signature) == page_state::good);
  }
  std::vector<std::byte> moved = page;
  seal_page(moved, make_lgpos(4, 0x2020));
  CHECK(get_page_header(moved).changed == make_lgpos(4, 0x2020));
  CHECK(examine_page(moved, 7, page_signature) == page_state::good);
}

TEST_CASE("pagestore_format: fields out of bounds are refused though the checksum fits", "[pagestore_format]") {
  const std::vector<std::byte> header = block_of(sample_header());
  for (const std::size_t at : {16U, 20U, 64U, 68U, 72U, 76U, 80U, 84U, 100U, 108U, 116U, 120U, 144U, 148U, 156U, 160U, 368U, 4092U}) {
    CAPTURE(at);
    CHECK_FALSE(decode_header(forged<std::uint32_t>(header, at, 0xffffffff)));
  }
  CHECK_FALSE(decode_header(forged<std::uint32_t>(header, 64, 0)));
  CHECK_FALSE(decode_header(forged<std::uint32_t>(header, 64, 4)));
  CHECK_FALSE(decode_header(forged<std::uint32_t>(header, 68, 7)));
  CHECK_FALSE(decode_header(forged<std::uint32_t>(header, 20, 512)));
  const std::vector<std::byte> log = block_of(sample_log_header());
  for (const std::size_t at : {16U, 20U, 24U, 28U, 48U, 52U, 80U, 83U, 84U, 88U, 92U, 124U, 128U, 160U, 784U, 1448U, 4088U}) {
    CAPTURE(at);
    CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, at, 0xffffffff)));
  }
  CHECK_FALSE(decode_log_header(forged<std::uint64_t>(log, 24, 262144 + 512)));
  CHECK_FALSE(decode_log_header(forged<std::uint64_t>(log, 24, 65536)));
  CHECK_FALSE(decode_log_header(forged<std::uint64_t>(log, 24, (1U << 30U) + 65536)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 48, 0)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 52, 4096)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 52, 5121)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 52, 262144 + 512)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 88, 1024)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 84, 1)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(log, 84, 3)));
  const std::vector<std::byte> checkpoint = block_of(sample_checkpoint());
  for (const std::size_t at : {16U, 20U, 52U, 56U, 60U, 64U, 124U, 128U, 160U, 784U, 4088U}) {
    CAPTURE(at);
    CHECK_FALSE(decode_checkpoint(forged<std::uint32_t>(checkpoint, at, 0xffffffff)));
  }
  CHECK_FALSE(decode_checkpoint(forged<std::uint32_t>(checkpoint, 52, 0)));
  const std::vector<std::byte> trailer = block_of(sample_trailer());
  for (const std::size_t at : {8U, 12U, 16U, 24U, 56U, 60U, 64U, 68U, 72U, 76U, 80U, 120U, 4092U}) {
    CAPTURE(at);
    CHECK_FALSE(decode_trailer(forged<std::uint32_t>(trailer, at, 0xffffffff)));
  }
}

TEST_CASE("pagestore_format: six databases with the longest paths fit; seven, or a longer path, are refused", "[pagestore_format]") {
  log_header header = sample_log_header();
  header.attached = long_list(most_databases);
  const std::vector<std::byte> six = block_of(header);
  CHECK(decode_log_header(six) == header);
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(six, 84, 7)));
  CHECK_FALSE(decode_log_header(forged<std::uint16_t>(six, 128 + 5 * 660 + 32, 601)));
  CHECK_FALSE(decode_log_header(forged<std::uint16_t>(six, 128 + 5 * 660 + 32, 0xffff)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(six, 128 + 5 * 660, 5)));
  CHECK_FALSE(decode_log_header(forged<std::uint32_t>(six, 128 + 5 * 660, 0)));
  CHECK_FALSE(decode_attached(six, 7));
  CHECK_FALSE(decode_attached(six, 0xffffffff));
  CHECK_FALSE(decode_attached(const_byte_span(six).first(4095), 6));
  header.attached = long_list(7);
  CHECK_THROWS_AS(block_of(header), contrail::error);
  header.attached = long_list(1);
  header.attached[0].path += 'x';
  CHECK_THROWS_AS(block_of(header), contrail::error);
  header.attached[0].path.clear();
  CHECK_THROWS_AS(block_of(header), contrail::error);
  header.attached = long_list(2);
  header.attached[1].id = 1;
  CHECK_THROWS_AS(block_of(header), contrail::error);
  checkpoint_block checkpoint = sample_checkpoint();
  checkpoint.attached = long_list(7);
  CHECK_THROWS_AS(block_of(checkpoint), contrail::error);
  checkpoint.attached = long_list(6);
  CHECK(decode_checkpoint(block_of(checkpoint)) == checkpoint);
}

TEST_CASE("pagestore_format: what a reader would refuse is not written", "[pagestore_format]") {
  database_header header = sample_header();
  header.max_required = last_generation + 1;
  CHECK_THROWS_AS(block_of(header), contrail::error);
  header = sample_header();
  std::vector<std::byte> longer(8192);
  CHECK_THROWS_AS(encode_header(header, longer), contrail::error);
  log_header log = sample_log_header();
  log.base_name = {'E', 'd', 'b', '\0'};
  CHECK_THROWS_AS(block_of(log), contrail::error);
  checkpoint_block checkpoint = sample_checkpoint();
  checkpoint.redo = {};
  CHECK_THROWS_AS(block_of(checkpoint), contrail::error);
  database_trailer trailer = sample_trailer();
  trailer.pages = 0;
  CHECK_THROWS_AS(block_of(trailer), contrail::error);
}

TEST_CASE("pagestore_format: bits of a bitmap page", "[pagestore_format]") {
  for (const std::uint32_t page_size : page_sizes) {
    const std::uint32_t covered = pages_a_bitmap(page_size);
    CHECK(covered == 8 * (page_size - 64));
    CHECK(is_bitmap_page(1, page_size));
    CHECK_FALSE(is_bitmap_page(2, page_size));
    CHECK(bitmap_of(covered, page_size) == 1);
    CHECK(is_bitmap_page(covered + 1, page_size));
    CHECK(bitmap_of(2 * covered, page_size) == covered + 1);
    CHECK(bitmap_of(largest_page_no, page_size) <= largest_page_no);
    std::vector<std::byte> page(page_size);
    for (const page_no n : {covered + 1, covered + 10, 2 * covered}) {
      CHECK_FALSE(bitmap_get(page, n, page_size));
      bitmap_set(page, n, page_size, true);
      CHECK(bitmap_get(page, n, page_size));
    }
    CHECK(page[64] == std::byte{0x01});
    CHECK(page[65] == std::byte{0x02});
    CHECK(page.back() == std::byte{0x80});
    bitmap_set(page, 2 * covered, page_size, false);
    bitmap_set(page, covered + 10, page_size, false);
    CHECK(page.back() == std::byte{0});
    CHECK(page[65] == std::byte{0});
    CHECK(bitmap_get(page, covered + 1, page_size));
    set_bitmap_pages(page, 0x01020304);
    CHECK(bitmap_pages(page) == 0x01020304);
    CHECK(page[40] == std::byte{0x04});
  }
}

TEST_CASE("pagestore_format: names of logs", "[pagestore_format]") {
  CHECK(log_name("edb", 1) == "edb00001.log");
  CHECK(log_name("edb", 0xabcde) == "edbABCDE.log");
  CHECK(log_name("edb", 0xfffff) == "edbFFFFF.log");
  CHECK(log_name("edb", 0x100000) == "edb00100000.log");
  CHECK(log_name("x0z", last_generation) == "x0z7FFFFFFF.log");
  for (const std::uint32_t generation : {1U, 10U, 0xfffffU, 0x100000U, last_generation}) {
    CHECK(generation_of("edb", log_name("edb", generation)) == generation);
  }
  for (const char* name : {"", "edb", "edb.log", "edbtmp.log", "edb.chk", "edb0000.log", "edb000001.log", "edb00000.log", "edb0000a.log",
                           "edb00000001.log", "edb000FFFFF.log", "edb80000000.log", "edb000000001.log", "edb0000G.log", "edc00001.log",
                           "edb00001.LOG", "edb00001.log ", "edb-0001.log", "00001.log"}) {
    CAPTURE(name);
    CHECK_FALSE(generation_of("edb", name));
  }
  const std::set<std::string> names{current_log_name("edb"), prepared_log_name("edb"), checkpoint_name("edb"), lock_name("edb")};
  CHECK(names == std::set<std::string>{"edb.log", "edbtmp.log", "edb.chk", "edb.lock"});
  CHECK(is_base_name("edb"));
  CHECK(is_base_name("0a9"));
  for (const char* name : {"", "ed", "edbb", "Edb", "e_b", "e/b"}) {
    CHECK_FALSE(is_base_name(name));
  }
}
