#include "engines/pagestore/recovery/soft_recovery.hpp"

#include "async/file_calls.hpp"
#include "engines/pagestore/whole_transfers.hpp"
#include "support/pagestore_recovering.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

using namespace contrail::pagestore;
using namespace pagestore_logs;
using contrail::errc;
using contrail::io::disk_fault;
using contrail::io::disk_request;

namespace {

/// A short history with something of everything, of which nothing is in the databases but what was there at the round.
scene short_scene() {
  scene s;
  commit(s.log, {edit(s.one, 2, change_kind::format), edit(s.two, 3, change_kind::format)});
  commit(s.log, {s.change(s.one, 2, "early")});
  s.round();
  commit(s.log, {s.change(s.one, 2, "image after the round"), s.change(s.two, 3, "two", 4000)});
  s.log.batch();
  s.roll();
  commit(s.log, {s.change(s.one, 2, "delta", 300), edit(s.one, 5, change_kind::format)});
  commit(s.log, {s.change(s.one, 5, std::string(3900, 'l')), edit(s.two, 3, change_kind::free)});
  s.log.batch();
  commit(s.log, {s.change(s.one, 5, "end")});
  s.log.batch();
  return s;
}

/// As it is when its write was cut short: its end is old, or nothing of this page.
std::string torn(const known_database& d, page_no n) {
  std::string out = text(d.sealed(n));
  out.replace(3584, 512, 512, 'o');
  return out;
}

}  // namespace

TEST_CASE("pagestore recovery: nothing there, and a checkpoint without logs", "[pagestore_recovery]") {
  contrail::io::disk_options options;
  options.patience = 3;
  simulated_disk disk(options);
  const recovery_run got = recover(disk);
  INFO(got.result.text());
  REQUIRE(got.result.good());
  CHECK_FALSE(got.outcome.tail);
  CHECK_FALSE(got.outcome.ran);
  disk.write_file("/store/edbtmp.log", "prepared");
  CHECK(recover(disk).result.good());
  disk.write_file("/store/edb.chk", "any");
  check_refused(disk, errc::missing_log_file, "edb.log");
}

TEST_CASE("pagestore recovery: changes of all kinds in two databases", "[pagestore_recovery]") {
  const scene s = short_scene();
  simulated_disk disk = s.disk();
  const auto logs = disk.read_file("/store/edb.log");
  const recovery_run got = recover(disk);
  INFO(got.result.text());
  REQUIRE(got.result.good());
  const recovery_outcome& out = got.outcome;
  REQUIRE(out.tail);
  const lgpos end = behind(2, s.log.next_offset());
  CHECK(out.tail->position() == end);
  CHECK(out.tail->batch == 2);
  CHECK_FALSE(out.tail->closed);
  CHECK_FALSE(out.tail->numbered);
  CHECK(out.tail->header == s.log.header());
  CHECK(out.ran);
  CHECK(out.start == s.published.redo);
  CHECK(out.changes == 7);
  CHECK(out.pages_written == 3);
  CHECK(out.records == 5);
  CHECK(out.lowest_generation == 1);
  CHECK(out.garbage.empty());
  REQUIRE(out.recovered.size() == 2);
  CHECK(out.recovered[0].path == "one.db");
  CHECK(out.recovered[0].dbtime == s.one.dbtime);
  CHECK(out.recovered[1].dbtime == s.two.dbtime);
  REQUIRE(out.checkpoint.in_force);
  CHECK(*out.checkpoint.in_force == s.published);
  check_recovered(disk, s, end);
  CHECK(disk.read_file("/store/edb.log") == logs);

  // A page that was written has its changes, and gets none again.
  scene later = short_scene();
  later.one.write(5);
  simulated_disk other = later.disk();
  const recovery_run fewer = recover(other);
  REQUIRE(fewer.result.good());
  CHECK(fewer.outcome.changes == 4);
  check_recovered(other, later, end);

  // Again, before anybody wrote to the log: nothing is left to be done.
  const auto after = disk.files();
  const recovery_run again = recover(disk);
  REQUIRE(again.result.good());
  CHECK(again.outcome.changes == 0);
  CHECK(again.outcome.recovered.size() == 2);
  CHECK(again.outcome.tail->chain == out.tail->chain);
  CHECK((disk.files() == after));
}

TEST_CASE("pagestore recovery: any history, also with less memory than pages, and without a checkpoint", "[pagestore_recovery]") {
  const unsigned rounds = static_cast<unsigned>(sweep::rounds(sweep::sanitized ? 20 : 80));
  std::uint64_t second_passes = 0, rolls = 0, torn_pages = 0;
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    scene s;
    live(s, seed, 20 + seed * 3);
    rolls += s.log.generation() - 1;
    std::mt19937_64 random(seed);
    for (known_database* d : {&s.one, &s.two}) {
      for (auto& [n, content] : d->file) {
        if (d->dbtime_of(n) <= d->horizon || random() % 3 != 0) continue;
        content = raw(torn(*d, n));   // it was changed since the checkpoint, so its image is in the log
        ++torn_pages;
      }
    }
    for (unsigned variant = 0; variant < 4; ++variant) {
      simulated_disk disk = s.disk();
      parameters p = how();
      if (variant == 1) p.cache_size = 8;
      if (variant == 2) p.cache_size = 1;
      if (variant == 3) disk.remove("/store/edb.chk");
      const recovery_run got = recover(disk, p);
      INFO("seed " << seed << ", variant " << variant << ": " << got.result.text());
      REQUIRE(got.result.good());
      check_recovered(disk, s, behind(s.log.generation(), s.log.next_offset()));
      if (got.outcome.pages_written != 0 && p.cache_size <= 8) ++second_passes;
    }
  }
  CHECK(second_passes > rounds / 2);
  CHECK(rolls > rounds / 4);
  CHECK(torn_pages > rounds);
}

TEST_CASE("pagestore recovery: a checkpoint at the very end of the log, and again", "[pagestore_recovery]") {
  scene s = short_scene();
  s.round();
  simulated_disk disk = s.disk();
  for (unsigned i = 0; i < 2; ++i) {
    const recovery_run got = recover(disk);
    INFO(got.result.text());
    REQUIRE(got.result.good());
    CHECK(got.outcome.changes == 0);
    CHECK(got.outcome.start == got.outcome.tail->position());
    check_recovered(disk, s, s.published.redo);
  }
}

TEST_CASE("pagestore recovery: torn pages are made whole by their image", "[pagestore_recovery]") {
  scene s = short_scene();
  s.one.file[2] = raw(torn(s.one, 2));
  s.two.file[3] = raw(torn(s.two, 3));
  s.one.file[5] = raw(torn(s.one, 5));
  const recovery_run whole = [&] {
    simulated_disk disk = s.disk();
    recovery_run got = recover(disk);
    INFO(got.result.text());
    REQUIRE(got.result.good());
    check_recovered(disk, s, behind(2, s.log.next_offset()));
    return got;
  }();
  CHECK(whole.outcome.pages_repaired == 3);

  SECTION("a page that the log does not touch is not looked at") {
    s.one.file[9] = bytes(4096, std::byte{3});
    simulated_disk disk = s.disk();
    CHECK(recover(disk).result.good());
  }
  SECTION("one that the log has no image of is damage") {
    scene t;
    commit(t.log, {edit(t.one, 2, change_kind::format)});
    t.round();
    commit(t.log, {edit(t.one, 2, change_kind::delta, "no image")});
    t.log.batch();
    t.one.file[2] = raw(torn(t.one, 2));
    t.one.file[2][200] = std::byte{9};
    check_refused(t.disk(), errc::read_verify_failure, "/store/one.db");
    t.one.file[2] = t.one.sealed(1);
    check_refused(t.disk(), errc::page_number_mismatch, "/store/one.db");
  }
}

TEST_CASE("pagestore recovery: a change that does not fit its page", "[pagestore_recovery]") {
  scene s;
  commit(s.log, {edit(s.one, 2, change_kind::format)});
  commit(s.log, {edit(s.one, 2, change_kind::delta, "a")});
  s.round();
  SECTION("the page lacks a change") {
    const bytes old = s.one.file[2];
    commit(s.log, {edit(s.one, 2, change_kind::delta, "b")});
    commit(s.log, {edit(s.one, 2, change_kind::delta, "c")});
    s.log.batch();
    bytes bad = old;
    page_header header = get_page_header(bad);
    header.dbtime -= 1;
    put_page_header(bad, header);
    seal_page(byte_span(bad));
    s.one.file[2] = bad;
    check_refused(s.disk(), errc::dbtime_too_old, "/store/one.db");
    s.one.file[2] = bytes(4096);
    check_refused(s.disk(), errc::dbtime_too_old, "never written");
  }
  SECTION("the page has a change that the log does not know") {
    const std::uint64_t before = s.one.dbtime;
    commit(s.log, {edit(s.one, 3, change_kind::format)});
    commit(s.log, {edit(s.one, 2, change_kind::delta, "b")});
    s.log.batch();
    page_header header = get_page_header(s.one.file[2]);
    header.dbtime = before + 1;
    put_page_header(s.one.file[2], header);
    seal_page(byte_span(s.one.file[2]));
    check_refused(s.disk(), errc::dbtime_too_new, "/store/one.db");
  }
}

TEST_CASE("pagestore recovery: a torn tail becomes zeros, and the state is that of the last whole batch", "[pagestore_recovery]") {
  for (unsigned mask = 0; mask < 15; ++mask) {
    scene s = short_scene();
    const std::string one = s.one.committed(), two = s.two.committed();
    const std::uint64_t one_time = s.one.dbtime, two_time = s.two.dbtime;
    const std::uint32_t end = s.log.next_offset();
    commit(s.log, {s.change(s.one, 5, std::string(900, 'q')), s.change(s.two, 4, "lost")});
    commit(s.log, {edit(s.two, 5, change_kind::image, std::string(700, 'r'))});
    const bytes batch = s.log.sealed_batch();
    REQUIRE(batch.size() == 4 * 512);
    for (std::size_t k = 0; k < 4; ++k) {
      if ((mask >> k & 1U) == 0) continue;
      const auto from = batch.begin() + static_cast<std::ptrdiff_t>(k * 512);
      std::copy(from, from + 512, s.log.current().begin() + static_cast<std::ptrdiff_t>(end + k * 512));
    }
    simulated_disk disk = s.disk();
    const recovery_run got = recover(disk);
    INFO("mask " << mask << ": " << got.result.text());
    REQUIRE(got.result.good());
    const lgpos at = behind(2, end);
    CHECK(got.outcome.tail->position() == at);
    check_recovered(disk, s.one, one, at, one_time);
    check_recovered(disk, s.two, two, at, two_time);
    const std::string log = disk.read_file("/store/edb.log");
    CHECK(log.find_first_not_of('\0', end) == std::string::npos);
  }
}

TEST_CASE("pagestore recovery: the power fails at every operation of it, and again", "[pagestore_recovery]") {
  scene s = short_scene();
  s.one.file[2] = raw(torn(s.one, 2));
  const std::uint32_t end = s.log.next_offset();
  const std::string one = s.one.committed(), two = s.two.committed();
  const std::uint64_t one_time = s.one.dbtime, two_time = s.two.dbtime;
  commit(s.log, {s.change(s.one, 5, std::string(1500, 'q'))});
  const bytes batch = s.log.sealed_batch();
  std::copy(batch.begin() + 512, batch.end(), s.log.current().begin() + static_cast<std::ptrdiff_t>(end + 512));
  parameters p = how();
  p.cache_size = GENERATE(4096U, 4U);
  const simulated_disk fresh = s.disk();
  std::uint64_t first_operations = 0;
  {
    simulated_disk disk = sweep::copy_of(fresh);
    REQUIRE(recover(disk, p).result.good());
    first_operations = disk.operations();
  }
  const auto check = [&](simulated_disk& disk) {
    const recovery_run got = recover(disk, p);
    INFO(got.result.text() << "\n" << sweep::last_events(disk));
    REQUIRE(got.result.good());
    check_recovered(disk, s.one, one, behind(2, end), one_time);
    check_recovered(disk, s.two, two, behind(2, end), two_time);
  };
  const std::uint64_t step = sweep::step(sweep::sanitized ? 7 : 1);
  std::mt19937_64 random(p.cache_size);
  std::uint64_t crashes = 0;
  for (std::uint64_t i = 0; i < first_operations; i += step) {
    simulated_disk disk = sweep::copy_of(fresh);
    sweep::moment when;
    when.power_fails_after = i;
    const recovery_run cut = recover(disk, when, p);
    if (cut.result.over) continue;
    for (std::uint64_t k = 0; k < sweep::crash_seeds(5); ++k) {
      simulated_disk left = disk.after_crash(sweep::crash_of(k), i * 100 + k);
      INFO("power fails after " << i << ", crash " << k);
      // Once more inside the second recovery, at a place of its own.
      simulated_disk twice = sweep::copy_of(left);
      sweep::moment later;
      later.power_fails_after = random() % first_operations;
      const recovery_run second = recover(twice, later, p);
      // (Another disk in any case: on this one the power may still fail.)
      simulated_disk rest = second.result.over ? sweep::copy_of(twice) : twice.after_crash(sweep::crash_of(k), i + k);
      check(rest);
      check(left);
      ++crashes;
    }
  }
  CHECK(crashes > 50 / step);
}

TEST_CASE("pagestore recovery: every operation of it fails once", "[pagestore_recovery]") {
  scene s = short_scene();
  const std::uint32_t end = s.log.next_offset();
  parameters p = how();
  p.cache_size = GENERATE(4096U, 4U);
  const simulated_disk fresh = s.disk();
  const auto before = fresh.files();
  std::vector<contrail::io::disk_event> events;
  {
    simulated_disk disk = sweep::copy_of(fresh);
    REQUIRE(recover(disk, p).result.good());
    events = disk.log();
  }
  bool written = false;
  unsigned refused = 0;
  for (const contrail::io::disk_event& event : events) {
    written = written || event.what == disk_request::write || event.what == disk_request::sync;
    if (event.what == disk_request::size || event.what == disk_request::stat) continue;
    simulated_disk disk = sweep::copy_of(fresh);
    disk_fault fault;
    fault.nth = event.number;
    disk.add(fault);
    const recovery_run got = recover(disk, p);
    INFO("fails: " << to_string(event) << "\n" << got.result.text());
    REQUIRE(got.result.over);
    CHECK_FALSE(got.result.good());
    CHECK(got.result.code() == std::errc::io_error);
    if (!written) CHECK((disk.files() == before));
    ++refused;
    disk.clear_faults();
    simulated_disk left = disk.after_crash(sweep::crash_of(event.number % 4), event.number);
    REQUIRE(recover(left, p).result.good());
    check_recovered(left, s, behind(2, end));
  }
  CHECK(refused > 30);
}

TEST_CASE("pagestore recovery: a file grows before its pages are redone", "[pagestore_recovery]") {
  scene s;
  s.round();
  const std::string short_file = s.one.image();
  for (const std::uint32_t count : {50U, 60U}) {
    s.one.set_pages(count);
    bytes pages(4);
    store<std::uint32_t>(byte_span(pages), 0, count);
    commit(s.log, {s.change(s.one, 1, text(pages), bitmap_pages_at)});
    commit(s.log, {edit(s.one, 45 + count % 7, change_kind::format)});
  }
  commit(s.log, {edit(s.one, 58, change_kind::format)});
  commit(s.log, {s.change(s.one, 58, "not the last")});
  s.log.batch();
  simulated_disk disk = s.disk();
  disk.write_file("/store/one.db", short_file);
  SECTION("in memory") {
    const recovery_run got = recover(disk);
    INFO(got.result.text());
    REQUIRE(got.result.good());
  }
  SECTION("in two passes") {
    parameters p = how();
    p.cache_size = 1;
    const recovery_run got = recover(disk, p);
    INFO(got.result.text());
    REQUIRE(got.result.good());
  }
  check_recovered(disk, s, behind(1, s.log.next_offset()));

  scene bad;
  bad.round();
  const std::string as_it_is = bad.one.image();
  bad.one.set_pages(60);
  commit(bad.log, {edit(bad.one, 60, change_kind::format)});
  bad.log.batch();
  simulated_disk other = bad.disk();
  bad.one.header.pages = 40;
  other.write_file("/store/one.db", as_it_is);
  check_refused(other, errc::log_file_corrupt, "page 60");
}

TEST_CASE("pagestore recovery: what a process wrote and nobody synced, and then the power fails", "[pagestore_recovery]") {
  scene s = short_scene();
  const std::string one_before = s.one.committed(), two_before = s.two.committed();
  const simulated_disk fresh = s.disk();
  commit(s.log, {s.change(s.one, 5, "both"), s.change(s.two, 6, "or none"), edit(s.one, 7, change_kind::format)});
  const std::uint32_t at = s.log.next_offset();
  const bytes batch = s.log.sealed_batch();
  const auto write_batch = [&](file_system fs) {
    return [](file_system files, const bytes* what, std::uint64_t where) -> asio::awaitable<void> {
      contrail::io::open_options options;
      options.mode = contrail::io::access::read_write;
      contrail::calls::opened log = co_await contrail::calls::open(files, "/store/edb.log", options);
      const asio::const_buffer from = asio::buffer(*what);
      co_await write_whole(log.file, where, from, "write", "/store/edb.log");
    }(fs, &batch, at);
  };
  std::uint64_t with = 0, without = 0;
  for (std::uint64_t i = 0;; ++i) {
    simulated_disk disk = sweep::copy_of(fresh);
    REQUIRE(sweep::run_plain(disk, write_batch).good());
    sweep::moment when;
    when.power_fails_after = i;
    const recovery_run cut = recover(disk, when);
    if (cut.result.over) break;
    for (std::uint64_t k = 0; k < 5; ++k) {
      simulated_disk left = disk.after_crash(sweep::crash_of(k), i * 10 + k);
      const recovery_run got = recover(left);
      INFO("power fails after " << i << ", crash " << k << ": " << got.result.text());
      REQUIRE(got.result.good());
      const std::string one = left.read_file("/store/one.db").substr(8192), two = left.read_file("/store/sub/two.db").substr(8192);
      const bool is_before = one == one_before && two == two_before;
      const bool is_after = one == s.one.committed() && two == s.two.committed();
      CHECK((is_before || is_after));
      ++(is_after ? with : without);
    }
  }
  CHECK(with > 0);
  CHECK(without > 0);
}
