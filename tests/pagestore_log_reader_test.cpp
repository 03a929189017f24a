#include "engines/pagestore/log/log_reader.hpp"

#include "engines/pagestore/log/database_path.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "support/pagestore_logs.hpp"
#include "support/sweep.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using namespace contrail::pagestore;
using contrail::errc;
using contrail::io::file_system;
using contrail::io::simulated_disk;
using pagestore_logs::log_set;

namespace {

struct reading {
  reading() = default;
  std::vector<std::pair<lgpos, std::string>> records;   // where, and the body
  std::vector<record_type> types;
  log_tail tail;
  bool torn = false;
  sweep::result result;
};

asio::awaitable<void> read_through(file_system fs, std::string path, reading* out) {
  log_reader log = co_await log_reader::open(fs, path);
  for (;;) {
    const bool more = co_await log.next();
    if (!more) break;
    const const_byte_span body = log.bytes().subspan(record_header_bytes);
    out->records.emplace_back(log.position(), std::string(reinterpret_cast<const char*>(body.data()), body.size()));
    out->types.push_back(log.record().type);
  }
  const bool after = co_await log.next();
  CHECK_FALSE(after);
  out->tail = log.tail();
  out->torn = log.torn();
}

simulated_disk disk_with(const pagestore_logs::bytes& file) {
  contrail::io::disk_options options;
  options.patience = 3;
  options.short_transfers = true;
  simulated_disk disk(options);
  disk.write_file("/store/edb.log", pagestore_logs::text(file));
  return disk;
}

reading read(simulated_disk disk) {
  reading out;
  out.result = sweep::run_plain(disk, [&](file_system fs) { return read_through(fs, "/store/edb.log", &out); });
  CHECK(disk.open_files() == 0);
  return out;
}
reading read(const pagestore_logs::bytes& file) { return read(disk_with(file)); }

lgpos add_text(log_set& log, const std::string& text) {
  return log.add([&](record_builder& b) { b.begin_plain(record_type::start, 3, text); });
}

void put(pagestore_logs::bytes& file, std::size_t at, const pagestore_logs::bytes& what) {
  std::copy(what.begin(), what.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
}
pagestore_logs::bytes part(const pagestore_logs::bytes& from, std::size_t at, std::size_t count = 512) {
  const auto first = from.begin() + static_cast<std::ptrdiff_t>(at);
  return pagestore_logs::bytes(first, first + static_cast<std::ptrdiff_t>(count));
}

void check_damage(const reading& got, std::uint64_t offset, const std::string& words) {
  INFO(got.result.text());
  REQUIRE(got.result.over);
  CHECK(got.result.code() == errc::log_file_corrupt);
  CHECK(got.result.text().find("/store/edb.log") != std::string::npos);
  CHECK(got.result.text().find(std::to_string(offset)) != std::string::npos);
  CHECK(got.result.text().find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("pagestore log reader: records and where they stand, in batches of all sizes", "[pagestore_log_reader]") {
  const std::uint32_t unit = GENERATE(512U, 4096U);
  parameters p = pagestore_logs::how();
  p.log_write_unit = unit;
  p.log_file_size = 4U << 20U;
  log_set log(p);
  std::vector<std::pair<lgpos, std::string>> wanted;
  std::mt19937_64 random(unit);
  for (const unsigned size : {0U, 1U, 400U, 424U, 432U, 440U, 479U, 480U, 481U, 5000U, 1'500'000U}) {
    for (std::uint64_t i = random() % 3; i < 3; ++i) {
      const std::string text(size, static_cast<char>('a' + random() % 26));
      const lgpos at = add_text(log, text);
      wanted.emplace_back(at, text);
    }
    log.batch();
  }
  REQUIRE(log.next_offset() < p.log_file_size);
  const reading got = read(log.current());
  INFO(got.result.text());
  REQUIRE(got.result.good());
  REQUIRE(got.records.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    INFO(i);
    CHECK(got.records[i].first == wanted[i].first);
    CHECK((got.records[i].second == wanted[i].second));
  }
  CHECK_FALSE(got.tail.closed);
  CHECK(got.tail.end == log.next_offset());
  CHECK(got.tail.header == log.header());
  CHECK_FALSE(got.torn);
  log.roll();   // the chain goes on in the next header
  CHECK(log.header().previous_end == got.tail.end + unit);
}

TEST_CASE("pagestore log reader: an end of generation ends it, whatever stands behind", "[pagestore_log_reader]") {
  log_set log(pagestore_logs::how());
  add_text(log, "one");
  log.batch();
  log.close_generation();
  const std::uint32_t end = log.next_offset();
  put(log.current(), end + 1024, pagestore_logs::bytes(512, std::byte{7}));
  const reading got = read(log.current());
  INFO(got.result.text());
  REQUIRE(got.result.good());
  CHECK(got.tail.closed);
  CHECK(got.tail.end == end);
  CHECK(got.tail.batch == 2);
  CHECK(got.types.back() == record_type::end_of_generation);
  log.roll();
  CHECK(log.header().previous_chain != 0);

  log_set more(pagestore_logs::how());
  more.plain(record_type::end_of_generation);
  const lgpos at = more.plain(record_type::shutdown);
  more.batch();
  check_damage(read(more.current()), at.offset() - 24, "another record");
}

TEST_CASE("pagestore log reader: an empty generation", "[pagestore_log_reader]") {
  const log_set log(pagestore_logs::how());
  log_set copy = log;
  const reading got = read(copy.current());
  REQUIRE(got.result.good());
  CHECK(got.records.empty());
  CHECK(got.tail.batch == 0);
  CHECK(got.tail.end == 4096);
  CHECK(got.tail.chain == first_chain(const_byte_span(copy.current()).first(4096)));
}

TEST_CASE("pagestore log reader: what a cut batch leaves is a torn tail, in any part", "[pagestore_log_reader]") {
  log_set log(pagestore_logs::how());
  const lgpos kept = add_text(log, "kept");
  log.batch();
  const std::uint32_t end = log.next_offset();
  add_text(log, std::string(1500, 'x'));
  const pagestore_logs::bytes batch = log.sealed_batch();
  const std::size_t sectors = batch.size() / 512;
  REQUIRE(sectors == 4);
  // The file was used before: sectors of an older generation stand there.
  log_set older(pagestore_logs::how(), 77, 1);
  for (unsigned mask = 0; mask < 1U << sectors; ++mask) {
    for (const bool recycled : {false, true}) {
      pagestore_logs::bytes file = log.current();
      if (recycled) {
        log_set now(pagestore_logs::how(), 77, 5);
        add_text(now, "kept");
        now.batch();
        const pagestore_logs::bytes fresh = now.current();
        file = older.current();
        add_text(older, std::string(4000, 'o'));
        add_text(older, std::string(4000, 'p'));
        older.batch();
        put(file, 0, pagestore_logs::bytes(older.current()));
        put(file, 0, part(fresh, 0, end));
        add_text(now, std::string(1500, 'x'));
        const pagestore_logs::bytes next = now.sealed_batch();
        for (std::size_t k = 0; k < sectors; ++k) {
          if ((mask >> k & 1U) != 0) put(file, end + k * 512, part(next, k * 512));
        }
        older = log_set(pagestore_logs::how(), 77, 1);
      } else {
        for (std::size_t k = 0; k < sectors; ++k) {
          if ((mask >> k & 1U) != 0) put(file, end + k * 512, part(batch, k * 512));
        }
      }
      const reading got = read(file);
      INFO("mask " << mask << (recycled ? ", recycled: " : ": ") << got.result.text());
      REQUIRE(got.result.good());
      if (mask + 1 == 1U << sectors) {
        CHECK(got.records.size() == 2);
        CHECK(got.tail.end == end + batch.size());
        continue;
      }
      REQUIRE(got.records.size() == 1);
      CHECK(got.records[0].first.offset() == kept.offset());
      CHECK(got.tail.end == end);
      CHECK(got.tail.batch == 1);
      CHECK(got.torn == (mask != 0));
    }
  }
}

TEST_CASE("pagestore log reader: damage is told from a torn tail", "[pagestore_log_reader]") {
  log_set log(pagestore_logs::how());
  add_text(log, std::string(700, 'a'));
  log.batch();
  const std::uint32_t second = log.next_offset();
  add_text(log, std::string(700, 'b'));
  log.batch();
  const std::uint32_t third = log.next_offset();
  add_text(log, "c");
  log.batch();
  const std::uint32_t end = log.next_offset();

  SECTION("any byte of any sector that was written, also of the last batch") {
    for (std::size_t at = 4096; at < end; at += 37) {
      pagestore_logs::bytes file = log.current();
      file[at] ^= std::byte{0x10};
      INFO(at);
      check_damage(read(file), at / 512 * 512, at < third ? "" : "another content");
    }
  }
  SECTION("a byte in what was never written") {
    for (const std::size_t at : {std::size_t{end}, std::size_t{end} + 5000, log.current().size() - 1}) {
      pagestore_logs::bytes file = log.current();
      file[at] = std::byte{1};
      check_damage(read(file), at / 512 * 512, "another content");
    }
  }
  SECTION("a batch in front of a later one was durable before that was written") {
    pagestore_logs::bytes file = log.current();
    put(file, second, pagestore_logs::bytes(third - second));
    check_damage(read(file), second, "batch 3");
    file = log.current();
    put(file, second + 512, pagestore_logs::bytes(512));
    check_damage(read(file), second, "batch 3");
  }
  SECTION("parts of two batches with one number") {
    pagestore_logs::bytes file = log.current();
    log_set other = log;
    add_text(log, std::string(2000, 'd'));
    add_text(other, std::string(1000, 'e'));
    const pagestore_logs::bytes one = log.sealed_batch(), two = other.sealed_batch();
    put(file, end + 512, part(two, 512));
    put(file, end + 1024, part(one, 1024));
    check_damage(read(file), end + 1024, "the parts of one batch");
  }
  SECTION("a sector of another place or of other logs") {
    pagestore_logs::bytes file = log.current();
    put(file, end + 512, part(log.current(), 4096));
    check_damage(read(file), end + 512, "another content");
    log_set other(pagestore_logs::how(), 78);
    add_text(other, std::string(9000, 'o'));
    other.batch();
    file = log.current();
    put(file, end + 512, part(other.current(), end + 512));
    check_damage(read(file), end + 512, "another content");
  }
  SECTION("a sector of a generation that is still to come") {
    log_set later(pagestore_logs::how(), 77, 2);
    add_text(later, std::string(9000, 'o'));
    later.batch();
    pagestore_logs::bytes file = log.current();
    put(file, end, part(later.current(), end));
    check_damage(read(file), end, "another content");
  }
  SECTION("a record whose own checksum is wrong, in sectors that are sound") {
    log_set again(pagestore_logs::how());
    add_text(again, "first");
    const lgpos at = again.add([](record_builder& b) { b.begin_plain(record_type::start, 3, "second"); });
    pagestore_logs::bytes batch = again.sealed_batch();
    batch[at.offset() - 4096 + 24] ^= std::byte{1};
    log_set seal(pagestore_logs::how());
    pagestore_logs::bytes payload = part(batch, 32, load<std::uint16_t>(batch, 28));
    std::uint64_t chain = 0;
    pagestore_logs::bytes sealed;
    encode_batch(payload, 1, first_sector, 1, 512, 77, chain, sealed);
    pagestore_logs::bytes file = seal.current();
    put(file, 4096, sealed);
    check_damage(read(file), at.offset(), "a whole record");
  }
}

TEST_CASE("pagestore log reader: a file that is no whole log", "[pagestore_log_reader]") {
  log_set log(pagestore_logs::how());
  add_text(log, "a");
  log.batch();
  pagestore_logs::bytes file = log.current();
  for (const std::size_t length : {std::size_t{0}, std::size_t{4095}, std::size_t{4096}, file.size() - 512, file.size() - 1}) {
    const reading got = read(part(file, 0, length));
    INFO(length << ": " << got.result.text());
    CHECK(got.result.code() == errc::log_file_corrupt);
  }
  file.push_back(std::byte{0});
  CHECK(read(file).result.code() == errc::log_file_corrupt);
  file.pop_back();
  for (std::size_t at = 0; at < 4096; at += 61) {
    pagestore_logs::bytes bad = file;
    bad[at] ^= std::byte{4};
    check_damage(read(bad), 0, "the header of a log");
  }
  simulated_disk disk = disk_with(file);
  disk.remove("/store/edb.log");
  CHECK(read(disk).result.code() == errc::missing_log_file);
}

TEST_CASE("pagestore log reader: a read that fails is told as what it is", "[pagestore_log_reader]") {
  log_set log(pagestore_logs::how());
  add_text(log, std::string(3000, 'z'));
  log.batch();
  for (std::uint64_t i = 0; i < 2; ++i) {
    simulated_disk disk = disk_with(log.current());
    contrail::io::disk_fault fault;
    fault.what = contrail::io::disk_request::read;
    fault.nth = i;
    disk.add(fault);
    const reading got = read(disk);
    INFO(got.result.text());
    CHECK(got.result.code() == std::errc::io_error);
  }
}

TEST_CASE("pagestore log directory: numbers, gaps, and a number that stands twice", "[pagestore_log_reader]") {
  const parameters p = pagestore_logs::how();
  log_listing there;
  there.numbered = {3, 4, 7, 8, 9};
  there.current = true;
  const log_run run = find_run(there, 10, p);
  CHECK(run.lowest == 7);
  CHECK(run.highest == 10);
  CHECK(run.current);
  CHECK((run.garbage == std::vector<std::uint32_t>{3, 4}));
  CHECK(log_path(p, run, 10) == "/store/edb.log");
  CHECK(log_path(p, run, 9) == "/store/edb00009.log");
  CHECK(find_run(there, 12, p).lowest == 12);
  CHECK(find_run(there, std::nullopt, p).highest == 9);
  for (const std::uint32_t current : {9U, 5U}) {
    try {
      find_run(there, current, p);
      FAIL("it was taken");
    } catch (const contrail::error& e) {
      CHECK(e.code() == errc::invalid_log_sequence);
    }
  }

  contrail::io::disk_options options;
  options.patience = 3;
  simulated_disk disk(options);
  log_listing got;
  const auto list = [&] {
    const sweep::result result = sweep::run_plain(disk, [&](file_system fs) {
      return [](file_system files, parameters how, log_listing* out) -> asio::awaitable<void> {
        log_listing found = co_await list_logs(files, how);
        *out = std::move(found);
      }(fs, p, &got);
    });
    INFO(result.text());
    CHECK(result.good());
  };
  list();
  CHECK(got.empty());
  for (const char* name : {"edb0000B.log", "edb00002.log", "edbtmp.log", "edb.chk", "abc00001.log", "edb0.log", "one.db"}) {
    disk.write_file(std::string("/store/") + name, "x");
  }
  list();
  CHECK((got.numbered == std::vector<std::uint32_t>{2, 11}));
  CHECK_FALSE(got.current);
  CHECK(got.prepared);
  CHECK(got.checkpoint);
  disk.write_file("/store/edb.log", "x");
  list();
  CHECK(got.current);
}

TEST_CASE("pagestore database path: relative below the instance's directory, else as it is", "[pagestore_log_reader]") {
  parameters p = pagestore_logs::how();
  const auto both = [&](const std::string& given, const std::string& stored, const std::string& real) {
    INFO(given);
    CHECK(stored_path(p, given) == stored);
    CHECK(real_path(p, stored) == std::filesystem::path(real));
  };
  both("a.db", "a.db", "/store/a.db");
  both("./x/../a.db", "a.db", "/store/a.db");
  both("sub/a.db", "sub/a.db", "/store/sub/a.db");
  both("/store/sub/a.db", "sub/a.db", "/store/sub/a.db");
  both("/elsewhere/a.db", "/elsewhere/a.db", "/elsewhere/a.db");
  both("../a.db", "/a.db", "/a.db");
  both("/storehouse/a.db", "/storehouse/a.db", "/storehouse/a.db");
  p.directory = "data";
  both("a.db", "a.db", "data/a.db");
  both("../a.db", "../a.db", "data/../a.db");
  both("/data/a.db", "/data/a.db", "/data/a.db");
  CHECK(stored_path(p, std::string(600, 'n')).size() == 600);
  CHECK_THROWS_AS(stored_path(p, std::string(601, 'n')), contrail::error);
}
