#include "support/sweep.hpp"

using namespace sweep;

namespace {

/// A repository with two sets, and a place for proofs.
struct begun : bench {
  begun() : base(fresh_disk()) {
    for (int i = 0; i < 2; ++i) {
      const result got = back_up(base);
      if (!got.good()) throw std::runtime_error("a backup: " + got.text());
    }
    base.make_directory("/scratch");
    base = copy_of(base);
    all = base.files("/");
  }
  /// Nothing changed but, where it could not be removed, a hidden directory; that goes with the next proof.
  void check_after(simulated_disk& disk, bool clean) {
    disk.clear_faults();
    check_idle(disk);
    file_map now = disk.files("/");
    if (clean) CHECK(disk.names("/scratch").empty());
    for (auto at = now.begin(); at != now.end();) at = at->first.rfind("scratch/", 0) == 0 ? now.erase(at) : std::next(at);
    CHECK((now == all));
    simulated_disk next = copy_of(disk);
    moment none;
    contrail::verify_report report;
    const result got = verify(next, none, &report);
    INFO("next: " << got.text() << "\n" << words(report));
    CHECK(got.good());
    CHECK(all_good(report));
    CHECK(next.names("/scratch").empty());
  }
  simulated_disk base;
  file_map all;
};

}  // namespace

TEST_CASE("sweep: verify, each operation fails", "[sweep]") {
  begun b;
  simulated_disk plain = copy_of(b.base);
  moment none;
  contrail::verify_report whole;
  REQUIRE(b.verify(plain, none, &whole).good());
  REQUIRE(all_good(whole));
  const std::vector<disk_event> events = plain.log();
  REQUIRE(events.size() > 60);
  std::size_t runs = 0, good = 0, thrown = 0, reported = 0;
  for (std::uint64_t k = 0; k < events.size(); k += step()) {
    for (const disk_fault& fault : faults_for(events[k])) {
      simulated_disk disk = copy_of(b.base);
      disk.add(fault);
      contrail::verify_report report;
      const result got = b.verify(disk, none, &report);
      INFO(to_string(events[k]) << (fault.applied ? ", done, then " : ", ") << fault.error.message() << "\nverify: " << got.text() << "\n"
                                << words(report));
      REQUIRE(got.over);
      if (got.failure) CHECK_THROWS_AS(std::rethrow_exception(got.failure), contrail::error);
      const bool of_cleaning = events[k].what == disk_request::release || events[k].what == disk_request::remove_all;
      // Only the sweep of older leftovers and the end of a lock may go wrong unseen; what was not read is never good.
      const bool may_be_good = of_cleaning || (events[k].what == disk_request::list && events[k].path == "/scratch");
      if (got.good() && all_good(report)) {
        CHECK(may_be_good);
        ++good;
      }
      ++(got.good() ? reported : thrown);
      b.check_after(disk, !of_cleaning);
      ++runs;
    }
  }
  tell(std::ostringstream() << events.size() << " operations, " << runs << " runs, " << thrown << " failed, " << reported << " reported, " << good << " of them good");
}

TEST_CASE("sweep: verify, cancelled at each turn of the event loop, and the context destroyed", "[sweep]") {
  const bool destroyed = GENERATE(false, true);
  begun b;
  const disk_cancellation in_flight = GENERATE(disk_cancellation::stops, disk_cancellation::comes_late);
  std::size_t cancelled = 0, ended = 0;
  for (std::uint64_t turn = 0;; turn += step(sanitized ? 10 : 1)) {
    simulated_disk disk = copy_of(b.base);
    disk.set_cancellation(in_flight);
    moment when;
    (destroyed ? when.destroyed_at_turn : when.cancelled_at_turn) = turn;
    contrail::verify_report report;
    const result got = b.verify(disk, when, &report);
    INFO((destroyed ? "destroyed" : "cancelled") << " at turn " << turn << in_words(in_flight) << got.text() << "\n" << last_events(disk));
    REQUIRE((destroyed || got.over));
    if (got.failure) CHECK(got.code() == asio::error::operation_aborted);
    if (got.good()) CHECK(all_good(report));
    b.check_after(disk, !destroyed);
    ++(got.good() ? ended : cancelled);
    if (!when.before_end) break;
    REQUIRE(turn < 100'000);
  }
  CHECK(cancelled > 100 / step());
  CHECK(ended > 0);
  tell(std::ostringstream() << cancelled << " cancelled or destroyed, " << ended << " ended");
}
