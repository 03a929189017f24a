// What only POSIX has: signals in the middle of contrail pagestore, and of a backup of a store; files that may not grow.
#include "support/cli_store.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

void pause(unsigned milliseconds) { ::usleep(milliseconds * 1000); }

/// Interrupted: by its own account, or by the system before main() was reached.
bool was_interrupted(const outcome& got, int signal) {
  if (got.signal == signal) {
    CHECK(got.out.empty());
    return true;
  }
  if (got.exit != 128 + signal) return false;
  CHECK_THAT(got.err, Contains("interrupted by SIG"));
  CHECK(got.parsed()["error"]["name"] == "interrupted");
  return true;
}

/// Ended well: nothing for the next one to recover.
void check_clean(const fs::path& store) {
  const auto facts = store_run("info", store, {"--json"}).parsed();
  for (const auto& one : facts["databases"]) CHECK(one["state"] == "clean");
}

/// Complete sets only, and nothing half-made; how many.
std::size_t sets(const fs::path& repository) {
  for (const std::string& name : names_in(repository)) {
    INFO(name);
    CHECK(name.front() != '.');
  }
  if (!fs::exists(repository)) return 0;
  const outcome got = run({"list", repository.string(), "--json"});
  REQUIRE(got.exit == 0);
  const auto told = got.parsed();
  for (const auto& set : told["sets"]) CHECK(set["status"] == "complete");
  return told["sets"].size();
}

}  // namespace

TEST_CASE("cli_pagestore_tool: an interrupted creation leaves nothing", "[cli_pagestore_tool]") {
  const workspace w;
  unsigned stopped = 0;
  for (unsigned i = 0; i < 12; ++i) {
    const bool was_there = i % 2 == 0;
    const int signal = i % 4 < 2 ? SIGINT : SIGTERM;
    if (was_there) fs::create_directory(w / "store");
    program one(CONTRAIL_PROGRAM, {"pagestore", "create", (w / "store").string(), "--accounts", "300000", "--json"});
    pause(20 * i);
    one.kill(signal);
    const outcome got = one.wait();
    INFO("after " << 20 * i << " ms: " << got.exit << " " << got.signal << "\n" << got.out << got.err);
    if (was_interrupted(got, signal)) {
      ++stopped;
      CHECK(fs::exists(w / "store") == was_there);
      CHECK(names_in(w / "store").empty());
    } else {
      CHECK(got.exit == 0);
    }
    fs::remove_all(w / "store");
  }
  CHECK(stopped >= 1);
}

TEST_CASE("cli_pagestore_tool: a creation that fails leaves nothing", "[cli_pagestore_tool]") {
  const workspace w;
  launch how;
  how.largest_file = std::uint64_t{9} << 20;
  const outcome got = run({"pagestore", "create", (w / "store").string(), "--databases", "1", "--accounts", "100000", "--json"}, how);
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK_THAT(got.parsed()["error"]["message"].get<std::string>(), Contains("bank1.db"));
  CHECK_FALSE(fs::exists(w / "store"));
}

TEST_CASE("cli_pagestore_tool: a creation that fails before the store is open leaves nothing either", "[cli_pagestore_tool]") {
  const workspace w;
  const bool was_there = GENERATE(false, true);
  if (was_there) fs::create_directory(w / "store");
  launch how;
  how.largest_file = GENERATE(std::uint64_t{1}, std::uint64_t{1} << 20);   // no checkpoint, no log
  const outcome got = run({"pagestore", "create", (w / "store").string(), "--accounts", "2000", "--json"}, how);
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK(fs::exists(w / "store") == was_there);
  CHECK(names_in(w / "store").empty());
  make_bank(w / "store");
}

TEST_CASE("cli_pagestore_tool: of two creations at once one makes the store, and the other one leaves it alone", "[cli_pagestore_tool]") {
  const workspace w;
  for (unsigned i = 0; i < 12; ++i) {
    const fs::path store = w / ("store" + std::to_string(i));
    const std::vector<std::string> arguments{"pagestore", "create", store.string(), "--accounts", "2000", "--json"};
    program one(CONTRAIL_PROGRAM, arguments);
    pause(i % 6);
    program two(CONTRAIL_PROGRAM, arguments);
    const outcome first = one.wait(), second = two.wait();
    INFO(first.out << first.err << second.out << second.err);
    CHECK((first.exit == 0) != (second.exit == 0));
    CHECK(good(store)["total"] == 2000000);
  }
}

TEST_CASE("cli_pagestore_tool: an interrupted bench ends its store, and its backup, in order", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  unsigned alone = 0, backing_up = 0;
  for (unsigned i = 0; i < 6; ++i) {
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    // Slowed down, so that it is in the middle of its backup for as long as it takes.
    program one(CONTRAIL_PROGRAM, {"pagestore", "bench", (w / "store").string(), "--json", "--seconds", "1", "--backup-to", (w / "repo").string(),
                                   "--rate-limit", "1M"});
    if (i < 3) {
      pause(50 + 150 * i);
    } else {
      while (one.running() && names_in(w / "repo").empty()) pause(1);
      pause(50 * (i - 3));
    }
    one.kill(signal);
    const outcome got = one.wait();
    INFO(i << ": " << got.exit << " " << got.signal << "\n" << got.out << got.err);
    REQUIRE(was_interrupted(got, signal));
    ++(i < 3 ? alone : backing_up);
    check_clean(w / "store");
    CHECK(sets(w / "repo") == 0);
  }
  CHECK(alone == 3);
  CHECK(backing_up == 3);
  CHECK(good(w / "store")["total"] == 2000000);
  const outcome next = store_run("bench", w / "store", {"--seconds", "1", "--json", "--backup-to", (w / "repo").string()});
  CHECK(next.exit == 0);
  CHECK(next.err.empty());
  CHECK(sets(w / "repo") == 1);
}

TEST_CASE("cli_pagestore_tool: an interrupted bench has told all that is durable", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  program one(CONTRAIL_PROGRAM, {"pagestore", "bench", (w / "store").string(), "--seconds", "60", "--acks", "--writers", "4"});
  pause(400);
  one.kill(SIGINT);
  const outcome got = one.wait();
  CHECK(got.exit == 130);
  CHECK_THAT(got.err, Contains("interrupted by SIGINT"));
  const auto told = good(w / "store");
  std::uint64_t lines = 0, transactions = 0;
  for (const char c : got.out) lines += c == '\n' ? 1U : 0U;
  for (const std::uint64_t last : sequences(told)) transactions += last;
  CHECK(lines == transactions);
}

TEST_CASE("cli_pagestore_tool: an interrupted backup of a store that nobody has open", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store", {"--accounts", "20000"});
  std::size_t finished = 0;
  unsigned stopped = 0;
  for (unsigned i = 0; i < 10; ++i) {
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    program one(CONTRAIL_PROGRAM, {"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string(), "--json", "--rate-limit", "8M"});
    pause(40 * i);
    one.kill(signal);
    const outcome got = one.wait();
    INFO("after " << 40 * i << " ms: " << got.exit << " " << got.signal << "\n" << got.out << got.err);
    if (was_interrupted(got, signal)) {
      ++stopped;
    } else {
      CHECK(got.exit == 0);
      ++finished;
    }
    check_clean(w / "store");
    CHECK(sets(w / "repo") == finished);
  }
  CHECK(stopped >= 1);
  CHECK(good(w / "store")["total"] == 20000000);
  const outcome next = run({"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string(), "--json"});
  CHECK(next.exit == 0);
  CHECK(next.err.empty());
  CHECK(run({"verify", (w / "repo").string(), "--prove"}).exit == 0);
}

TEST_CASE("cli_pagestore_tool: an interrupted check changes nothing that counts", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store", {"--accounts", "100000"});
  unsigned stopped = 0;
  for (unsigned i = 0; i < 24; ++i) {
    program one(CONTRAIL_PROGRAM, {"pagestore", "check", (w / "store").string(), "--json"});
    pause(i < 12 ? 4 * i : 20 * (i - 12));   // it is opened early
    one.kill(SIGINT);
    const outcome got = one.wait();
    INFO(got.out << got.err);
    if (was_interrupted(got, SIGINT)) {
      ++stopped;
    } else {
      CHECK(got.exit == 0);
    }
    check_clean(w / "store");
  }
  CHECK(stopped >= 1);
  CHECK(good(w / "store")["total"] == 100000000);
}

TEST_CASE("cli_pagestore_tool: a report that nobody takes is a failure, the store is whole", "[cli_pagestore_tool]") {
  const workspace w;
  launch how;
  how.standard_output = "/dev/full";
  CHECK(run({"pagestore", "create", (w / "store").string(), "--accounts", "2000"}, how).exit == 1);
  CHECK(good(w / "store")["total"] == 2000000);
  // A line that cannot be told ends the writers.
  const outcome got = run({"pagestore", "bench", (w / "store").string(), "--seconds", "60", "--acks"}, how);
  INFO(got.err);
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Contains("standard output"));
  CHECK(good(w / "store")["total"] == 2000000);
}
