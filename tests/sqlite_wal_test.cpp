#include "engines/sqlite/engine_state.hpp"
#include "engines/sqlite/wal_format.hpp"
#include "support/sqlite_processes.hpp"
#include "support/sqlite_wal_builder.hpp"
#include "support/temp_directory.hpp"

#include <contrail/error.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <vector>

using namespace contrail;
using contrail::test::wal_builder;
using sqlite::wal_walker;

namespace {

const auto ignore_frame = [](std::uint32_t, std::uint32_t, std::uint32_t) {};

wal_walker walk(const std::string& bytes, std::size_t piece = std::size_t{1} << 20, std::uint32_t watch = 0) {
  wal_walker walker(watch);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    walker.feed(asio::buffer(bytes.data() + at, std::min(piece, bytes.size() - at)), ignore_frame);
  }
  return walker;
}

}  // namespace

TEST_CASE("wal: the chain is followed to the last commit, in both byte orders and at every page size", "[sqlite_wal]") {
  for (const bool big_endian : {false, true}) {
    for (const std::uint32_t page_bytes : {512U, 1024U, 4096U, 65536U}) {
      wal_builder log(page_bytes, big_endian);
      log.frame(1, 0).frame(2, 2).frame(3, 3);
      const auto sums = log.sums();
      log.frame(1, 0).frame(4, 0);   // no commit: does not count
      const wal_walker walker = walk(log.bytes());
      REQUIRE(walker.header());
      CHECK(walker.header()->page_bytes == page_bytes);
      CHECK(walker.header()->big_endian == big_endian);
      CHECK(walker.good_frames() == 5);
      CHECK(walker.committed_frames() == 3);
      CHECK(walker.committed_pages() == 3);
      CHECK(walker.committed_bytes() == 32 + 3 * (24 + page_bytes));
      CHECK(walker.committed_sums() == sums);
    }
  }
}

TEST_CASE("wal: pieces of any length give the same answer, and frames are told once each", "[sqlite_wal]") {
  wal_builder log(512, false);
  for (std::uint32_t i = 1; i <= 9; ++i) {
    log.frame(i, i % 3 == 0 ? i : 0, static_cast<char>('a' + i));
  }
  const std::string bytes = log.bytes() + "what an older log left behind";
  for (std::size_t piece = 1; piece < 700; ++piece) {
    std::vector<std::uint32_t> pages;
    wal_walker walker(4);
    const auto keep = [&](std::uint32_t number, std::uint32_t page, std::uint32_t commit) {
      REQUIRE(number == pages.size() + 1);
      REQUIRE(commit == (page % 3 == 0 ? page : 0));
      pages.push_back(page);
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      walker.feed(asio::buffer(bytes.data() + at, std::min(piece, bytes.size() - at)), keep);
    }
    REQUIRE(pages == std::vector<std::uint32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
    REQUIRE(walker.committed_frames() == 9);
    REQUIRE(walker.committed_sums() == log.sums());
    REQUIRE(walker.watched());
    REQUIRE(*walker.watched() == *walk(bytes, bytes.size(), 4).watched());
  }
}

TEST_CASE("wal: a flipped bit anywhere ends the chain before its frame", "[sqlite_wal]") {
  wal_builder log(512, false);
  log.frame(1, 1).frame(2, 2).frame(3, 3);
  const std::string& good = log.bytes();
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int bit : {0, 7}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      const wal_walker walker = walk(bad);
      // Bytes 12 to 15 of the header (the checkpoint's number) count only through the header's checksum, as all of it does.
      const std::size_t frame = at < 32 ? 0 : (at - 32) / 536;
      REQUIRE(walker.good_frames() == (at < 32 ? 0 : frame));
      REQUIRE(walker.committed_frames() == (at < 32 ? 0 : frame));
    }
  }
}

TEST_CASE("wal: no log, a short one, garbage and a wrong page size have no frames", "[sqlite_wal]") {
  CHECK(walk("").committed_bytes() == 0);
  CHECK(walk("short").committed_bytes() == 0);
  CHECK(walk(std::string(5000, '\0')).committed_bytes() == 0);
  CHECK(walk(std::string(5000, 'z')).committed_bytes() == 0);
  CHECK(walk(wal_builder(4096, true).bytes()).committed_bytes() == 0);
  CHECK(walk(wal_builder(1000, true).frame(1, 1).bytes()).committed_bytes() == 0);
  CHECK(walk(wal_builder(131072, true).frame(1, 1).bytes()).committed_bytes() == 0);
}

TEST_CASE("wal: frames of an older log behind the running one are not taken", "[sqlite_wal]") {
  wal_builder old(512, false, 7, 1);
  old.frame(1, 1).frame(2, 2).frame(3, 3);
  wal_builder now(512, false, 8, 2);
  now.frame(9, 9);
  const std::string bytes = now.bytes() + old.bytes().substr(now.bytes().size());
  CHECK(walk(bytes).committed_frames() == 1);
  CHECK(walk(bytes).committed_pages() == 9);
}

TEST_CASE("wal: agrees with SQLite on a real log", "[sqlite_wal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  test::make_wal_database(file, 10, 1024);
  test::sqlite_shell shell(file);
  shell.ask("PRAGMA wal_autocheckpoint=0; " + test::add_rows(40) + test::add_rows(3));
  const std::string frames = shell.ask("PRAGMA wal_checkpoint(PASSIVE);");   // busy|frames|moved
  const wal_walker walker = walk(read_file(file.string() + "-wal"));
  CHECK(frames == "0|" + std::to_string(walker.committed_frames()) + "|" + std::to_string(walker.committed_frames()));
  CHECK(walker.committed_frames() > 20);
  CHECK(shell.ask("PRAGMA page_count;") == std::to_string(walker.committed_pages()));
}

TEST_CASE("wal: coverage finds the first page that nobody has", "[sqlite_wal]") {
  sqlite::page_coverage pages(3);
  CHECK_FALSE(pages.first_missing(3, 4096));
  CHECK(pages.first_missing(4, 4096) == std::uint64_t{4});
  for (const std::uint32_t page : {6U, 4U, 1U, 20U}) {
    pages.add(page);
  }
  CHECK_FALSE(pages.first_missing(4, 4096));
  CHECK(pages.first_missing(20, 4096) == std::uint64_t{5});
  // The page of SQLite's lock bytes is never written.
  sqlite::page_coverage big(262144);
  CHECK_FALSE(big.first_missing(262145, 4096));
  CHECK(big.first_missing(262146, 4096) == std::uint64_t{262146});
}

TEST_CASE("wal: the state of a set comes back as it was, and nonsense is refused", "[sqlite_wal]") {
  sqlite::engine_state state;
  state.database = "app.db";
  state.log = "app.db.wal";
  state.page_bytes = 65536;
  state.file_pages = 4;
  state.pages = 9;
  state.frames = 0xffffffff;
  state.salt1 = 0xfffffffe;
  state.salt2 = 3;
  state.sums = {0x80000000, 5};
  const std::string text = state.write();
  CHECK(sqlite::engine_state::read(text).write() == text);
  const auto code = [](const std::string& nonsense) {
    try {
      (void)sqlite::engine_state::read(nonsense);
    } catch (const error& problem) {
      return problem.code();
    }
    return std::error_code();
  };
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return code(changed);
  };
  CHECK(code("") == errc::set_damaged);
  CHECK(code("{}") == errc::set_damaged);
  CHECK(with("\"version\":1", "\"version\":2") == errc::format_unknown);
  CHECK(with("65536", "65535") == errc::set_damaged);
  CHECK(with("65536", "-1") == errc::set_damaged);
  CHECK(with("\"app.db\"", "\"../app.db\"") == errc::set_damaged);
  CHECK(with("\"app.db.wal\"", "\"/etc/passwd\"") == errc::set_damaged);
  CHECK(with("\"app.db.wal\"", "\"app.db\"") == errc::set_damaged);
  CHECK(with("4294967295", "4294967296") == errc::set_damaged);
  CHECK(with("\"pages\":9", "\"pages\":0") == errc::set_damaged);
}

TEST_CASE("wal: thousands of mutated logs and headers harm nobody", "[sqlite_wal]") {
  wal_builder log(512, false);
  for (std::uint32_t i = 1; i <= 6; ++i) {
    log.frame(i, i);
  }
  std::minstd_rand random(20261123);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = log.bytes();
    const auto changes = 1 + random() % 4;
    for (unsigned change = 0; change < changes; ++change) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes.resize(at + 1); break;
        case 2: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 600)); break;
        default: bytes.erase(at, random() % 600); break;
      }
      if (bytes.empty()) {
        bytes = "x";
      }
    }
    const wal_walker walker = walk(bytes, 1 + random() % 700);
    REQUIRE(walker.committed_frames() <= walker.good_frames());
    REQUIRE(walker.committed_bytes() <= bytes.size());
    // What is good is a prefix of what was written.
    REQUIRE(bytes.compare(0, static_cast<std::size_t>(walker.committed_bytes()), log.bytes(), 0,
                          static_cast<std::size_t>(walker.committed_bytes())) == 0);
    (void)sqlite::parse_database_header(bytes);
    try {
      (void)sqlite::engine_state::read(bytes);
    } catch (const error&) {
    }
  }
}
