#include "support/sweep.hpp"

#include <random>

using namespace sweep;

namespace {

/// A source, and a repository with one set, or none yet.
struct begun : bench {
  explicit begun(bool has_set, std::uint64_t seed = disk_seed(), bool short_transfers = false) : base(simulated_disk()) {
    options.seed = seed;
    options.short_transfers = short_transfers;
    base = fresh_disk();
    if (!has_set) return;
    contrail::backup_report report;
    const result got = back_up(base, &report);
    if (!got.good()) throw std::runtime_error("the first backup: " + got.text());
    first.push_back(report.set);
    base = copy_of(base);
  }
  simulated_disk base;
  std::vector<std::string> first;
};

/// What holds after a backup, whatever came of it. `undone`: one that failed could take back what it had made.
void check_after(begun& b, simulated_disk& disk, const result& got, const contrail::backup_report& report, bool undone) {
  disk.clear_faults();
  b.check_idle(disk);
  b.check_source(disk);
  std::vector<std::string> sets = b.first;
  if (got.good()) sets.push_back(report.set);
  const std::size_t found = b.check_repository(copy_of(disk), sets);
  CHECK(found >= sets.size());
  CHECK(found <= b.first.size() + 1);
  if (b.first.empty() && !got.good() && undone) CHECK_FALSE(disk.exists("/repo"));
  b.check_next_backup(copy_of(disk));
}

bool only_sets(const simulated_disk& disk) {
  const std::vector<std::string> names = disk.names("/repo");
  return std::all_of(names.begin(), names.end(), [](const std::string& n) { return contrail::is_set_id(n.substr(0, n.find('/'))); });
}

/// What holds on the disk after a crash: a set that was reported is there; one that was not is there and whole, or is not there.
void check_crashed(begun& b, simulated_disk disk, const result& got, const contrail::backup_report& report) {
  b.check_source(disk);
  std::vector<std::string> sets = b.first;
  if (got.good()) sets.push_back(report.set);
  b.check_repository(copy_of(disk), sets);
  b.check_next_backup(disk);
}

}  // namespace

TEST_CASE("sweep: backup, each operation fails", "[sweep]") {
  begun b(GENERATE(true, false));
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
      check_after(b, disk, got, report, !of_cleaning && !fault.applied);
      for (std::uint64_t i = 0; i < 4; ++i) {
        const crash_mode mode = crash_of(i);
        INFO("then a crash, " << i);
        check_crashed(b, disk.after_crash(mode, k + i), got, report);
      }
      ++runs;
      if (!got.good()) ++failed;
      if (!report.failed_databases.empty()) ++partly;
    }
  }
  tell(std::ostringstream() << events.size() << " operations, " << runs << " runs, " << failed << " failed, " << partly << " with a database left out");
}

TEST_CASE("sweep: backup, the system crashes after each operation", "[sweep]") {
  begun b(GENERATE(true, false));
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  const std::uint64_t operations = plain.operations();
  const std::uint64_t seeds = crash_seeds(4);
  std::size_t runs = 0;
  for (std::uint64_t k = 0; k <= operations; k += step()) {
    simulated_disk disk = copy_of(b.base);
    moment when;
    when.power_fails_after = k;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    REQUIRE((k == operations || disk.halted()));
    for (std::uint64_t i = 0; i < seeds + 2; ++i) {
      const crash_mode mode = crash_of(i);
      INFO("crash after " << k << " operations, " << (i < 2 ? "everything or nothing lost, " : "seed ") << k * 1000 + i << "\n"
                          << last_events(disk));
      check_crashed(b, disk.after_crash(mode, k * 1000 + i), got, report);
      ++runs;
    }
  }
  tell(std::ostringstream() << operations << " operations, " << runs << " crashes");
}

TEST_CASE("sweep: backup, cancelled at each turn of the event loop", "[sweep]") {
  begun b(GENERATE(true, false));
  const disk_cancellation in_flight = GENERATE(disk_cancellation::stops, disk_cancellation::comes_late);
  std::size_t cancelled = 0, committed = 0;
  for (std::uint64_t turn = 0;; turn += step(sanitized ? 10 : 1)) {
    simulated_disk disk = copy_of(b.base);
    disk.set_cancellation(in_flight);
    moment when;
    when.cancelled_at_turn = turn;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("cancelled at turn " << turn << in_words(in_flight) << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    if (got.failure) CHECK(got.code() == asio::error::operation_aborted);
    CHECK(only_sets(disk));
    if (disk.exists("/repo")) CHECK(b.list(disk).size() == b.first.size() + (got.good() ? 1 : 0));
    check_after(b, disk, got, report, true);
    ++(got.good() ? committed : cancelled);
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(cancelled > 100 / step());
  CHECK(committed > 0);
  tell(std::ostringstream() << cancelled << " cancelled, " << committed << " committed");
}

TEST_CASE("sweep: backup, the context is destroyed at each turn", "[sweep]") {
  begun b(GENERATE(true, false));
  const disk_cancellation in_flight = GENERATE(disk_cancellation::stops, disk_cancellation::comes_late);
  std::size_t runs = 0;
  for (std::uint64_t turn = 0;; turn += step(sanitized ? 10 : 1)) {
    simulated_disk disk = copy_of(b.base);
    disk.set_cancellation(in_flight);
    moment when;
    when.destroyed_at_turn = turn;
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("destroyed at turn " << turn << in_words(in_flight) << got.text() << "\n" << last_events(disk));
    check_after(b, disk, got, report, false);
    ++runs;
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(runs > 100 / step());
  tell(std::ostringstream() << runs << " runs");
}

TEST_CASE("sweep: backup, nothing works any more from each operation on", "[sweep]") {
  begun b(GENERATE(true, false));
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
    check_after(b, disk, got, report, false);
    check_crashed(b, disk.after_crash(crash_mode::worst), got, report);
    if (got.good()) ++good;
  }
  CHECK(good < 6);   // only what comes behind the commit
}

TEST_CASE("sweep: backup, the disk is full at each size", "[sweep]") {
  begun b(GENERATE(true, false));
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
    check_after(b, disk, got, report, true);
    ++(got.good() ? good : failed);
  }
  CHECK(failed > 40 / step());
  tell(std::ostringstream() << failed << " disks too small, enough with " << room << " bytes");
}

TEST_CASE("sweep: backup, troubles by chance", "[sweep]") {
  std::size_t good = 0, crashed = 0;
  const std::uint64_t first = disk_seed();
  for (std::uint64_t seed = first; seed < first + rounds(120); ++seed) {
    INFO("CONTRAIL_SWEEP_SEED=" << seed << " CONTRAIL_SWEEP_ROUNDS=1");
    begun b(seed % 3 != 0, seed, true);
    std::mt19937_64 random(seed);
    simulated_disk disk = copy_of(b.base);
    moment when;
    const bool crashes = random() % 2 == 0;
    if (crashes) when.power_fails_after = random() % 110;
    add_troubles(disk, random, 110);
    contrail::backup_report report;
    const result got = b.back_up(disk, when, &report);
    INFO("backup: " << got.text() << "\n" << last_events(disk, 100));
    if (got.over) check_after(b, disk, got, report, false);
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

TEST_CASE("sweep: backup, after a commit that failed and could not be taken back, crashes after each operation of the next", "[sweep]") {
  // What the disk did of the set's name, and what came of hiding it again. That the disk loses the hiding is not among it: no later sync
  // can make up for that.
  struct way {
    const char* words;
    disk_request what;
    bool applied;
    std::errc error;
  };
  const way named = GENERATE(way{"name durable", disk_request::sync_directory, true, std::errc::io_error},
                             way{"name lost", disk_request::sync_directory, false, std::errc::io_error},
                             way{"name undecided", disk_request::sync_directory, false, std::errc::too_many_files_open});
  const way hidden = GENERATE(way{"hidden, but told that not", disk_request::rename_new, true, std::errc::io_error},
                              way{"not hidden", disk_request::rename_new, false, std::errc::io_error},
                              way{"hidden, undecided", disk_request::sync_directory, false, std::errc::too_many_files_open});
  INFO(named.words << ", " << hidden.words);
  begun b(GENERATE(true, false));
  simulated_disk plain = copy_of(b.base);
  REQUIRE(b.back_up(plain).good());
  // Where in it the set gets its name, and that is synced.
  std::uint64_t syncs = 0, renames = 0;
  for (const disk_event& e : plain.log()) {
    const bool gives_name = e.what == disk_request::rename_new && contrail::is_set_id(std::filesystem::path(e.second).filename().string());
    if (renames != 0 && e.what == disk_request::sync_directory) break;
    syncs += e.what == disk_request::sync_directory ? 1 : 0;
    renames += gives_name ? 1 : 0;
  }
  REQUIRE(renames == 1);
  const bool renamed_back = hidden.applied || hidden.what == disk_request::sync_directory;
  std::size_t crashes = 0;
  bool over = false;
  for (std::uint64_t k = 0; !over; k += step(sanitized ? 5 : 2)) {
    // A disk with undecided changes cannot be copied.
    simulated_disk disk = copy_of(b.base);
    for (const bool of_name : {true, false}) {
      const way& w = of_name ? named : hidden;
      disk_fault f;
      f.what = w.what;
      f.path = "/repo";
      f.nth = w.what == disk_request::rename_new ? renames : of_name ? syncs : syncs + 1;
      f.applied = w.applied;
      f.error = std::make_error_code(w.error);
      disk.add(std::move(f));
    }
    const result first = b.back_up(disk);
    INFO("first: " << first.text() << "\n" << last_events(disk, 8));
    REQUIRE(first.failure);
    REQUIRE(first.text().find("sync repository") != std::string::npos);
    const std::vector<std::string> names = disk.names("/repo");
    const bool partial = std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.rfind(".partial-", 0) == 0 && n.back() == '/'; });
    REQUIRE(partial == renamed_back);
    disk.clear_faults();
    b.check_idle(disk);
    moment when;
    when.power_fails_after = k;
    contrail::backup_report report;
    const result second = b.back_up(disk, when, &report);
    INFO("crash after " << k << " operations of the second: " << second.text() << "\n" << last_events(disk));
    over = second.over;
    if (over) CHECK(second.good());
    for (std::uint64_t i = 0; i < crash_seeds(3) + 2; ++i) {
      const crash_mode mode = crash_of(i);
      INFO("crash " << i);
      std::vector<std::string> sets = b.first;
      if (second.good()) sets.push_back(report.set);
      b.check_repository(disk.after_crash(mode, k * 1000 + i), sets);
      ++crashes;
    }
    REQUIRE(k < 1'000);
  }
  CHECK(crashes > 50 / step());
  tell(std::ostringstream() << crashes << " crashes");
}

TEST_CASE("sweep: two backups at once into one repository, troubles by chance", "[sweep]") {
  std::size_t both = 0;
  const std::uint64_t first = disk_seed();
  for (std::uint64_t seed = first; seed < first + rounds(60); ++seed) {
    INFO("CONTRAIL_SWEEP_SEED=" << seed << " CONTRAIL_SWEEP_ROUNDS=1");
    begun b(seed % 2 == 0, seed, true);
    std::mt19937_64 random(seed);
    simulated_disk disk = copy_of(b.base);
    const bool crashes = random() % 2 == 0;
    if (random() % 2 == 0) {
      disk_fault fault;
      fault.nth = random() % 200;
      disk.add(std::move(fault));
    }
    // Each has a source of its own.
    std::vector<disk_engine::layout_ptr> layouts;
    std::vector<std::unique_ptr<disk_engine::engine>> engines;
    std::vector<std::unique_ptr<contrail::directory_repository>> repositories;
    std::vector<contrail::backup_report> reports(2);
    std::vector<result> results(2);
    for (const auto& [name, bytes] : b.contents) disk.write_file("/other/" + name, bytes);
    {
      asio::io_context context(1);
      if (crashes) disk.halt_after(random() % 200, [&context] { context.stop(); });
      contrail::io::file_system fs = disk.mount(context.get_executor());
      for (std::size_t i = 0; i < 2; ++i) {
        layouts.push_back(std::make_shared<disk_engine::layout>(b.plan));
        if (i == 1) layouts[i]->place = "/other";
        engines.push_back(std::make_unique<disk_engine::engine>(fs, layouts[i]));
        repositories.push_back(std::make_unique<contrail::directory_repository>(fs, "/repo"));
        auto done = [&r = results[i]](std::exception_ptr e) {
          r.over = true;
          r.failure = std::move(e);
        };
        asio::co_spawn(asio::make_strand(context.get_executor()),
                       bench::back_up_into(engines[i].get(), repositories[i].get(), &reports[i]), std::move(done));
      }
      context.run();
    }
    INFO(results[0].text() << "\n" << results[1].text() << "\n" << last_events(disk, 200));
    std::vector<std::string> sets = b.first;
    // A sync of a directory that failed for one loses what the other made there, and nobody tells it.
    const std::vector<disk_event> events = disk.log();
    const bool lost = std::any_of(events.begin(), events.end(), [](const disk_event& e) { return e.what == disk_request::sync_directory && e.error; });
    for (std::size_t i = 0; i < 2 && !lost; ++i)
      if (results[i].good()) sets.push_back(reports[i].set);
    if (sets.size() == b.first.size() + 2) ++both;
    disk.clear_faults();
    simulated_disk found = crashes && disk.halted() ? disk.after_crash(crash_mode::seeded, random()) : copy_of(disk);
    b.check_idle(found);
    b.check_repository(copy_of(found), sets);
    // Numbers are given once.
    std::vector<std::uint64_t> numbers;
    if (found.exists("/repo")) {
      for (const contrail::set_entry& e : b.list(found))
        if (e.info != nullptr) numbers.push_back(e.info->sequence);
    }
    CHECK(std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end());
    b.check_next_backup(found);
  }
  if (rounds(60) >= 60) CHECK(both > 5);
}
