#include "support/sweep.hpp"

#include <random>

using namespace sweep;

namespace {

/// A repository with one set, and a place to restore to: empty or not there, or with old files that are to be replaced.
struct begun : bench {
  explicit begun(bool r, std::uint64_t seed = disk_seed(), bool short_transfers = false) : replaces(r), base(simulated_disk()) {
    options.seed = seed;
    options.short_transfers = short_transfers;
    base = fresh_disk();
    contrail::backup_report report;
    const result got = back_up(base, &report);
    if (!got.good()) throw std::runtime_error("the backup: " + got.text());
    if (replaces) {
      for (const char* name : {"big/one.db", "small.db"}) {
        old[name] = pattern_bytes(7'000, 77) + name;
        old[std::string(name) + "-log"] = pattern_bytes(600, 78) + name;
      }
      for (const auto& [name, bytes] : old) base.write_file("/out/" + name, bytes);
    }
    base = copy_of(base);
    fresh = contents;
    fresh.erase("log1");
    repository = base.files("/repo");
  }

  result restore_now(simulated_disk& disk, moment& when) { return restore(disk, when, "/out", replaces); }

  /// No final name has anything but the old file or the new one, whole; a new file never stands beside an old companion.
  void check_target(const simulated_disk& disk) const {
    const file_map found = disk.files("/out");
    for (const auto& [name, bytes] : found) {
      INFO(name);
      if (name.rfind(".contrail-restore-", 0) == 0) continue;
      const auto before = old.find(name);
      const auto after = fresh.find(name);
      const bool is_old = before != old.end() && before->second == bytes;
      const bool is_new = after != fresh.end() && after->second == bytes;
      CHECK((is_old || is_new));
      if (is_new) CHECK(found.count(name + "-log") == 0);
    }
    for (const auto& [name, bytes] : old) {
      if (fresh.count(name) != 0) CHECK(found.count(name) == 1);   // never none
    }
  }
  static bool hides(const simulated_disk& disk) {
    const std::vector<std::string> names = disk.names("/out");
    return std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.rfind(".contrail-restore-", 0) == 0; });
  }
  /// The next restore, which may replace, puts everything in place, and leaves nothing else.
  void check_next_restore(simulated_disk disk) {
    moment none;
    const result next = restore(disk, none, "/out", true);
    INFO("next restore: " << next.text());
    CHECK(next.good());
    CHECK((disk.files("/out") == fresh));
    check_idle(disk);
  }
  void check_repository_unchanged(const simulated_disk& disk) const { CHECK((disk.files("/repo") == repository)); }

  /// What holds after a restore, whatever came of it. `undone`: a failure took everything back.
  void check_after(simulated_disk& disk, const result& got, bool undone) {
    disk.clear_faults();
    check_idle(disk);
    check_target(disk);
    check_repository_unchanged(disk);
    if (got.good()) {
      file_map found = disk.files("/out");
      for (auto at = found.begin(); at != found.end();) at = at->first.rfind(".contrail-restore-", 0) == 0 ? found.erase(at) : std::next(at);
      CHECK((found == fresh));
    } else if (undone && !replaces) {
      CHECK_FALSE(disk.exists("/out"));
    }
    check_next_restore(copy_of(disk));
  }
  void check_crashed(simulated_disk disk, const result& got) {
    check_target(disk);
    check_repository_unchanged(disk);
    if (got.good()) {
      for (const auto& [name, bytes] : fresh) {
        INFO(name);
        REQUIRE(disk.exists("/out/" + name));
        CHECK(disk.read_file("/out/" + name) == bytes);
      }
    }
    check_next_restore(disk);
  }

  const bool replaces;
  simulated_disk base;
  file_map old, fresh, repository;
};

std::vector<disk_event> plain_run(begun& b) {
  simulated_disk plain = copy_of(b.base);
  moment none;
  const result got = b.restore_now(plain, none);
  INFO(got.text());
  REQUIRE(got.good());
  b.check_idle(plain);
  CHECK((plain.files("/out") == b.fresh));
  return plain.log();
}

}  // namespace

TEST_CASE("sweep: restore, each operation fails", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const std::vector<disk_event> events = plain_run(b);
  REQUIRE(events.size() > 60);
  std::size_t runs = 0, failed = 0;
  for (std::uint64_t k = 0; k < events.size(); k += step()) {
    for (const disk_fault& fault : faults_for(events[k])) {
      simulated_disk disk = copy_of(b.base);
      disk.add(fault);
      moment none;
      const result got = b.restore_now(disk, none);
      INFO(to_string(events[k]) << (fault.applied ? ", done, then " : ", ") << fault.error.message() << "\nrestore: " << got.text() << "\n"
                                << last_events(disk));
      REQUIRE(got.over);
      if (got.failure) CHECK_THROWS_AS(std::rethrow_exception(got.failure), contrail::error);
      const bool of_cleaning = events[k].what == disk_request::remove_all || events[k].what == disk_request::release;
      if (!of_cleaning) CHECK_FALSE(begun::hides(disk));
      b.check_after(disk, got, !of_cleaning && !fault.applied);
      for (std::uint64_t i = 0; i < 4; ++i) {
        const crash_mode mode = crash_of(i);
        INFO("then a crash, " << i);
        b.check_crashed(disk.after_crash(mode, k + i), got);
      }
      ++runs;
      if (!got.good()) ++failed;
    }
  }
  tell(std::ostringstream() << events.size() << " operations, " << runs << " runs, " << failed << " failed");
}

TEST_CASE("sweep: restore, the system crashes after each operation", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const std::uint64_t operations = plain_run(b).size();
  const std::uint64_t seeds = crash_seeds(4);
  std::size_t runs = 0;
  for (std::uint64_t k = 0; k <= operations; k += step()) {
    simulated_disk disk = copy_of(b.base);
    moment when;
    when.power_fails_after = k;
    const result got = b.restore_now(disk, when);
    for (std::uint64_t i = 0; i < seeds + 2; ++i) {
      const crash_mode mode = crash_of(i);
      INFO("crash after " << k << " operations, " << (i < 2 ? "everything or nothing lost, " : "seed ") << k * 1000 + i << "\n"
                          << last_events(disk));
      b.check_crashed(disk.after_crash(mode, k * 1000 + i), got);
      ++runs;
    }
  }
  tell(std::ostringstream() << operations << " operations, " << runs << " crashes");
}

TEST_CASE("sweep: restore, cancelled at each turn of the event loop", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const disk_cancellation in_flight = GENERATE(disk_cancellation::stops, disk_cancellation::comes_late);
  std::size_t cancelled = 0, placed = 0;
  for (std::uint64_t turn = 0;; turn += step(sanitized ? 10 : 1)) {
    simulated_disk disk = copy_of(b.base);
    disk.set_cancellation(in_flight);
    moment when;
    when.cancelled_at_turn = turn;
    const result got = b.restore_now(disk, when);
    INFO("cancelled at turn " << turn << in_words(in_flight) << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    if (got.failure) {
      CHECK(got.code() == asio::error::operation_aborted);
      CHECK((disk.files("/out") == b.old));
    }
    CHECK_FALSE(begun::hides(disk));
    b.check_after(disk, got, true);
    ++(got.good() ? placed : cancelled);
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(cancelled > 100 / step());
  CHECK(placed > 0);
  tell(std::ostringstream() << cancelled << " cancelled, " << placed << " restored");
}

TEST_CASE("sweep: restore, the context is destroyed at each turn", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const disk_cancellation in_flight = GENERATE(disk_cancellation::stops, disk_cancellation::comes_late);
  std::size_t runs = 0;
  for (std::uint64_t turn = 0;; turn += step(sanitized ? 10 : 1)) {
    simulated_disk disk = copy_of(b.base);
    disk.set_cancellation(in_flight);
    moment when;
    when.destroyed_at_turn = turn;
    const result got = b.restore_now(disk, when);
    INFO("destroyed at turn " << turn << in_words(in_flight) << got.text() << "\n" << last_events(disk));
    b.check_after(disk, got, false);
    ++runs;
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(runs > 100 / step());
  tell(std::ostringstream() << runs << " runs");
}

TEST_CASE("sweep: restore, nothing works any more from each operation on", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const std::uint64_t operations = plain_run(b).size();
  for (std::uint64_t k = 0; k < operations; k += step()) {
    simulated_disk disk = copy_of(b.base);
    disk_fault fault;
    fault.nth = k;
    fault.lasting = true;
    disk.add(fault);
    moment none;
    const result got = b.restore_now(disk, none);
    INFO("from operation " << k << " on: " << got.text() << "\n" << last_events(disk));
    REQUIRE(got.over);
    b.check_after(disk, got, false);
    b.check_crashed(disk.after_crash(crash_mode::worst), got);
  }
}

TEST_CASE("sweep: restore, the disk is full at each size", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  const std::uint64_t before = b.base.used_bytes();
  std::size_t failed = 0, good = 0;
  for (std::uint64_t i = 0; good < 3; i += step()) {
    const std::uint64_t room = i < 40 ? i * 512 : (i - 30) * 16 * 512;
    REQUIRE(room < 4'000'000);
    simulated_disk disk = copy_of(b.base);
    disk.set_capacity(before + room);
    moment none;
    const result got = b.restore_now(disk, none);
    INFO(room << " bytes of room: " << got.text() << "\n" << last_events(disk));
    if (got.failure) {
      CHECK(got.code() == std::errc::no_space_on_device);
      CHECK((disk.files("/out") == b.old));
    }
    CHECK_FALSE(begun::hides(disk));
    disk.set_capacity(~std::uint64_t{0});
    b.check_after(disk, got, true);
    ++(got.good() ? good : failed);
  }
  CHECK(failed > 40 / step());
}

TEST_CASE("sweep: restore, troubles by chance", "[sweep]") {
  std::size_t good = 0, crashed = 0;
  const std::uint64_t first = disk_seed();
  for (std::uint64_t seed = first; seed < first + rounds(120); ++seed) {
    INFO("CONTRAIL_SWEEP_SEED=" << seed << " CONTRAIL_SWEEP_ROUNDS=1");
    begun b(seed % 2 == 0, seed, true);
    std::mt19937_64 random(seed);
    simulated_disk disk = copy_of(b.base);
    moment when;
    const bool crashes = random() % 2 == 0;
    if (crashes) when.power_fails_after = random() % 150;
    add_troubles(disk, random, 150);
    const result got = b.restore_now(disk, when);
    INFO("restore: " << got.text() << "\n" << last_events(disk, 100));
    if (got.over) b.check_after(disk, got, false);
    b.check_crashed(disk.after_crash(crashes ? crash_mode::seeded : crash_mode::worst, random()), got);
    if (got.good()) ++good;
    if (!got.over) ++crashed;
  }
  if (rounds(120) < 100) return;
  CHECK(good > 10);
  CHECK(crashed > 10);
}

TEST_CASE("sweep: restore, a sync that is forgotten is found by a crash", "[sweep]") {
  const bool replaces = GENERATE(false, true);
  begun b(replaces);
  std::size_t syncs = 0;
  const std::vector<disk_event> events = plain_run(b);
  const std::uint64_t operations = events.size();
  for (const disk_event& event : events) {
    if (event.what != disk_request::sync && event.what != disk_request::sync_directory) continue;
    // The hidden directory: needed only where a rename may reach the disk before what it renames.
    if (event.what == disk_request::sync_directory && event.path.find(".contrail-restore-") != std::string::npos) continue;
    if (replaces && event.path == "/out/..") continue;   // the name was durable before
    INFO(to_string(event));
    bool found = false;
    for (std::uint64_t i = 0; i < 8 * (operations + 1 - event.number) && !found; ++i) {
      const std::uint64_t k = event.number + i / 8;
      simulated_disk disk = copy_of(b.base);
      disk.add(forgotten(event));
      moment when;
      when.power_fails_after = k;
      const result got = b.restore_now(disk, when);
      const simulated_disk after = disk.after_crash(i % 8 == 0 ? crash_mode::worst : crash_mode::seeded, i);
      file_map files = after.files("/out");
      const auto is_torn = [&](const std::string& name, const std::string& bytes) {
        if (name.rfind(".contrail-restore-", 0) == 0) return false;
        const auto before = b.old.find(name);
        const bool old_one = before != b.old.end() && before->second == bytes;
        const bool new_one = b.fresh.count(name) != 0 && b.fresh.at(name) == bytes;
        return (!old_one && !new_one) || (new_one && files.count(name + "-log") != 0);
      };
      found = std::any_of(files.begin(), files.end(), [&](const auto& f) { return is_torn(f.first, f.second); });
      if (got.good()) {
        for (const auto& [name, bytes] : b.fresh) found = found || files.count(name) == 0 || files[name] != bytes;
      }
    }
    CHECK(found);
    ++syncs;
  }
  CHECK(syncs >= 5);
}
