#include "support/sweep.hpp"

#include <random>

using namespace sweep;

namespace {

/// A source, and a repository with one set.
struct begun : bench {
  explicit begun(std::uint64_t seed = disk_seed(), bool short_transfers = false) : base(simulated_disk()) {
    options.seed = seed;
    options.short_transfers = short_transfers;
    base = fresh_disk();
    contrail::backup_report report;
    const result got = back_up(base, &report);
    if (!got.good()) throw std::runtime_error("the first backup: " + got.text());
    first = report.set;
    base = copy_of(base);
  }
  simulated_disk base;
  std::string first;
};

/// What holds after a second backup, whatever came of it.
void check_after(begun& b, simulated_disk& disk, const result& got, const contrail::backup_report& report) {
  disk.clear_faults();
  b.check_idle(disk);
  b.check_source(disk);
  std::vector<std::string> sets(1, b.first);
  if (got.good()) sets.push_back(report.set);
  const std::size_t found = b.check_repository(copy_of(disk), sets);
  CHECK(found >= sets.size());
  CHECK(found <= 2);
  b.check_next_backup(copy_of(disk));
}

bool only_sets(const simulated_disk& disk) {
  const std::vector<std::string> names = disk.names("/repo");
  return std::all_of(names.begin(), names.end(), [](const std::string& n) { return contrail::is_set_id(n.substr(0, n.find('/'))); });
}

/// What holds on the disk after a crash: a set that was reported is there; one that was not is there and whole, or is not there.
void check_crashed(begun& b, simulated_disk disk, const result& got, const contrail::backup_report& report) {
  b.check_source(disk);
  std::vector<std::string> sets(1, b.first);
  if (got.good()) sets.push_back(report.set);
  b.check_repository(copy_of(disk), sets);
  b.check_next_backup(disk);
}

}  // namespace

TEST_CASE("sweep: backup, each operation fails", "[sweep]") {
  begun b;
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  const std::vector<disk_event> events = plain.log();
  REQUIRE(events.size() > 50);
  std::size_t runs = 0, failed = 0, partly = 0;
  for (std::uint64_t k = 0; k < events.size(); k += step()) {
    for (const disk_fault& fault : faults_for(events[k])) {
      simulated_disk disk = copy_of(b.base);
      disk.add(fault);
      contrail::backup_report report;
      const result got = b.back_up(disk, &report);
      INFO(to_string(events[k]) << (fault.applied ? ", done, then " : ", ") << fault.error.message() << "\nbackup: " << got.text());
      REQUIRE(got.over);
      if (got.failure) CHECK_THROWS_AS(std::rethrow_exception(got.failure), contrail::error);
      const bool of_database = events[k].path.find("/source/") == 0 && events[k].path.ends_with(".db");
      if (of_database) {
        CHECK(got.good());   // one database's failure leaves the others
        CHECK(report.failed_databases.size() == 1);
      }
      // Cleaning up does not need a second try, unless it is that which fails.
      const bool of_cleaning = events[k].what == disk_request::remove_all || events[k].what == disk_request::release;
      if (!of_cleaning) CHECK(only_sets(disk));
      check_after(b, disk, got, report);
      for (const crash_mode mode : {crash_mode::worst, crash_mode::best}) {
        INFO("then a crash");
        check_crashed(b, disk.after_crash(mode), got, report);
      }
      ++runs;
      if (!got.good()) ++failed;
      if (!report.failed_databases.empty()) ++partly;
    }
  }
  WARN(events.size() << " operations, " << runs << " runs, " << failed << " failed, " << partly << " with a database left out");
}

TEST_CASE("sweep: backup, the system crashes after each operation", "[sweep]") {
  begun b;
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  const std::uint64_t operations = plain.operations();
  const std::uint64_t seeds = crash_seeds(4);
  std::size_t runs = 0, without = 0, with = 0;
  for (std::uint64_t k = 0; k <= operations; k += step()) {
    simulated_disk disk = copy_of(b.base);
    moment when;
    when.power_fails_after = k;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    REQUIRE((k == operations || disk.halted()));
    for (std::uint64_t i = 0; i < seeds + 2; ++i) {
      const crash_mode mode = i == 0 ? crash_mode::worst : i == 1 ? crash_mode::best : crash_mode::seeded;
      INFO("crash after " << k << " operations, " << (i < 2 ? "everything or nothing lost, " : "seed ") << k * 1000 + i << "\n"
                          << last_events(disk));
      simulated_disk found = disk.after_crash(mode, k * 1000 + i);
      check_crashed(b, found, got, report);
      ++runs;
      ++(found.names("/repo").size() > 8 ? with : without);
    }
  }
  WARN(operations << " operations, " << runs << " crashes");
}

TEST_CASE("sweep: backup, cancelled at each turn of the event loop", "[sweep]") {
  begun b;
  std::size_t cancelled = 0, committed = 0;
  for (std::uint64_t turn = 0;; turn += step()) {
    simulated_disk disk = copy_of(b.base);
    moment when;
    when.cancelled_at_turn = turn;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("cancelled at turn " << turn << ": " << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    if (got.failure) CHECK(got.code() == asio::error::operation_aborted);
    CHECK(only_sets(disk));
    CHECK(b.list(disk).size() == (got.good() ? 2 : 1));
    check_after(b, disk, got, report);
    ++(got.good() ? committed : cancelled);
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(cancelled > 100 / step());
  CHECK(committed > 0);
  WARN(cancelled << " cancelled, " << committed << " committed");
}

TEST_CASE("sweep: backup, the context is destroyed at each turn", "[sweep]") {
  begun b;
  std::size_t runs = 0;
  for (std::uint64_t turn = 0;; turn += step()) {
    simulated_disk disk = copy_of(b.base);
    moment when;
    when.destroyed_at_turn = turn;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("destroyed at turn " << turn << ": " << got.text() << "\n" << last_events(disk));
    check_after(b, disk, got, report);
    ++runs;
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(runs > 100 / step());
  WARN(runs << " runs");
}

TEST_CASE("sweep: backup, nothing works any more from each operation on", "[sweep]") {
  begun b;
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  const std::uint64_t operations = plain.operations();
  std::size_t good = 0;
  for (std::uint64_t k = 0; k < operations; k += step()) {
    simulated_disk disk = copy_of(b.base);
    disk_fault fault;
    fault.nth = k;
    fault.lasting = true;
    disk.add(fault);
    contrail::backup_report report;
    const result got = b.back_up(disk, &report);
    INFO("from operation " << k << " on: " << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    if (got.failure) CHECK_THROWS_AS(std::rethrow_exception(got.failure), contrail::error);
    check_after(b, disk, got, report);
    check_crashed(b, disk.after_crash(crash_mode::worst), got, report);
    if (got.good()) ++good;
  }
  CHECK(good < 6);   // only what comes behind the commit
}

TEST_CASE("sweep: backup, the disk is full at each size", "[sweep]") {
  begun b;
  const std::uint64_t before = b.base.used_bytes();
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  std::size_t failed = 0, good = 0;
  std::uint64_t room = 0;
  for (std::uint64_t i = 0; good < 3; i += step()) {
    // Every size at the beginning, where names are made; then in larger steps.
    room = i < 40 ? i * 512 : (i - 30) * 16 * 512;
    REQUIRE(room < 16 * (plain.used_bytes() - before));
    simulated_disk disk = copy_of(b.base);
    disk.set_capacity(before + room);
    contrail::backup_report report;
    const result got = b.back_up(disk, &report);
    INFO(room << " bytes of room: " << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    if (got.failure) CHECK(got.code() == std::errc::no_space_on_device);
    CHECK(only_sets(disk));
    if (!got.good()) CHECK(disk.used_bytes() <= before);
    disk.set_capacity(~std::uint64_t{0});
    check_after(b, disk, got, report);
    ++(got.good() ? good : failed);
  }
  CHECK(failed > 40 / step());
  WARN(failed << " disks too small, enough with " << room << " bytes");
}

TEST_CASE("sweep: backup, troubles by chance", "[sweep]") {
  std::size_t good = 0, crashed = 0;
  const std::uint64_t first = disk_seed();
  for (std::uint64_t seed = first; seed < first + rounds(120); ++seed) {
    INFO("CONTRAIL_SWEEP_SEED=" << seed << " CONTRAIL_SWEEP_ROUNDS=1");
    begun b(seed, true);
    std::mt19937_64 random(seed);
    simulated_disk disk = copy_of(b.base);
    moment when;
    const bool crashes = random() % 2 == 0;
    if (crashes) when.power_fails_after = random() % 110;
    for (std::uint64_t i = random() % 3; i > 0; --i) {
      disk_fault fault;
      fault.nth = random() % 110;
      fault.applied = random() % 4 == 0;
      disk.add(std::move(fault));
    }
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("backup: " << got.text() << "\n" << last_events(disk, 100));
    if (got.over) check_after(b, disk, got, report);
    const crash_mode mode = crashes ? crash_mode::seeded : crash_mode::worst;
    check_crashed(b, disk.after_crash(mode, random()), got, report);
    if (got.good()) ++good;
    if (!got.over) ++crashed;
  }
  if (rounds(120) < 100) return;
  CHECK(good > 10);
  CHECK(crashed > 10);
}

TEST_CASE("sweep: backup, a sync that is forgotten is found by a crash", "[sweep]") {
  // Into a repository that it makes itself.
  bench b;
  const simulated_disk base = b.fresh_disk();
  simulated_disk plain = copy_of(base);
  REQUIRE(b.back_up(plain).good());
  std::size_t syncs = 0;
  for (const disk_event& event : plain.log()) {
    if (event.what != disk_request::sync && event.what != disk_request::sync_directory) continue;
    simulated_disk disk = copy_of(base);
    disk.add(forgotten(event));
    contrail::backup_report report;
    const result got = b.back_up(disk, &report);
    INFO(to_string(event));
    REQUIRE(got.good());
    const std::string set = "/repo/" + report.set;
    CHECK((disk.after_crash(crash_mode::worst).files(set) != disk.files(set)));
    ++syncs;
  }
  CHECK(syncs >= 10);
}
