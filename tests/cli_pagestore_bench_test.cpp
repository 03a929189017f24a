// contrail pagestore bench.
#include "support/cli_store.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::uint64_t sum(const std::vector<std::uint64_t>& all) { return std::accumulate(all.begin(), all.end(), std::uint64_t{0}); }

/// A bench that must succeed; its report.
nlohmann::ordered_json bench(const fs::path& directory, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--seconds", "1", "--json"});
  const outcome got = store_run("bench", directory, more);
  INFO(got.out << got.err);
  REQUIRE(got.exit == 0);
  CHECK(got.err.empty());
  return got.parsed();
}

/// The last sequence that each writer has told, from whole lines. `rest`: how many there were.
std::vector<std::uint64_t> told_by(const std::string& text, std::uint64_t* lines = nullptr) {
  std::vector<std::uint64_t> out;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line) && !all.eof();) {
    std::istringstream words(line);
    std::size_t writer = 0;
    std::uint64_t sequence = 0;
    const bool right = static_cast<bool>(words >> writer >> sequence) && words.eof();
    INFO(line);
    CHECK(right);
    if (out.size() <= writer) out.resize(writer + 1);
    // None is left out, and none comes twice.
    if (out[writer] != 0) CHECK(sequence == out[writer] + 1);
    out[writer] = sequence;
    if (lines != nullptr) ++*lines;
  }
  return out;
}

/// What has been told is there.
void check_kept(const std::vector<std::uint64_t>& told, const std::vector<std::uint64_t>& found) {
  REQUIRE(found.size() >= told.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    INFO("writer " << i);
    CHECK(found[i] >= told[i]);
  }
}

}  // namespace

TEST_CASE("cli_pagestore_bench: what it reports is in the bank, and it goes on from there", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store");
  const auto report = bench(w / "store", {"--writers", "5"});
  CHECK(keys(report) == std::vector<std::string>{"schema", "writers", "accounts", "databases", "circular", "backend", "before", "during", "backups"});
  CHECK(report["writers"] == 5);
  CHECK(report["accounts"] == 2000);
  CHECK(report["databases"] == 3);
  CHECK(report["during"].is_null());
  CHECK(report["backups"].empty());
  const auto before = report["before"];
  CHECK(keys(before) == std::vector<std::string>{"seconds", "commits", "commits_per_second", "p50_us", "p99_us", "max_us", "conflicts"});
  CHECK(before["commits"].get<std::uint64_t>() >= 5);
  CHECK(before["p50_us"].get<double>() > 0);
  CHECK(before["p50_us"].get<double>() <= before["p99_us"].get<double>());
  CHECK(before["p99_us"].get<double>() <= before["max_us"].get<double>());
  const auto first = good(w / "store");
  CHECK(first["total"] == 2000000);
  const auto sequences_of_first = sequences(first);
  REQUIRE(sequences_of_first.size() == 5);
  // Those that were under way when the time was over come on top.
  CHECK(sum(sequences_of_first) >= before["commits"].get<std::uint64_t>());
  CHECK(sum(sequences_of_first) <= before["commits"].get<std::uint64_t>() + 5);

  const auto again = bench(w / "store", {"--writers", "5"});
  const auto second = sequences(good(w / "store"));
  check_kept(sequences_of_first, second);
  CHECK(sum(second) >= sum(sequences_of_first) + again["before"]["commits"].get<std::uint64_t>());
}

TEST_CASE("cli_pagestore_bench: a bank of two accounts, where everybody is in everybody's way", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store", {"--accounts", "2", "--databases", "2"});
  const auto report = bench(w / "store", {"--writers", "16"});
  CHECK(report["before"]["conflicts"].get<std::uint64_t>() > 0);
  CHECK(good(w / "store")["total"] == 2000);
}

TEST_CASE("cli_pagestore_bench: backups of every kind while the writers go on, and what they restore to", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store");
  const auto report = bench(w / "store", {"--backup-to", (w / "repo").string(), "--backups", "6", "--kinds",
                                          "full,incremental,incremental,differential,copy"});
  CHECK(report["during"]["commits"].get<std::uint64_t>() > 0);
  const auto& backups = report["backups"];
  REQUIRE(backups.size() == 6);
  const std::vector<std::string> kinds{"full", "incremental", "incremental", "differential", "copy", "full"};
  for (std::size_t i = 0; i < kinds.size(); ++i) CHECK(backups[i]["kind"] == kinds[i]);
  CHECK(backups[0]["parent"].is_null());
  CHECK(backups[1]["parent"] == backups[0]["set"]);
  CHECK(backups[2]["parent"] == backups[1]["set"]);
  CHECK(backups[3]["parent"] == backups[0]["set"]);
  CHECK(backups[4]["parent"].is_null());
  CHECK(backups[5]["parent"].is_null());
  const auto now = good(w / "store");
  std::vector<std::uint64_t> known;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    INFO(kinds[i]);
    const fs::path into = w / ("out" + std::to_string(i));
    const std::string set = backups[i]["set"];
    const outcome back = restore(w / "repo", into, {"--set", set});
    INFO(back.err);
    REQUIRE(back.exit == 0);
    const auto told = good(into);
    CHECK(told["total"] == 2000000);
    CHECK(told["expected_total"] == 2000000);
    const auto there = sequences(told);
    CHECK(there.size() == 8);
    check_kept(known, there);   // each holds what the one before it did
    known = there;
    const outcome proven = run({"verify", (w / "repo").string(), "--set", set, "--prove"});
    INFO(proven.out << proven.err);
    CHECK(proven.exit == 0);
    CHECK_THAT(proven.out, Contains("proven"));
  }
  const auto listed = run({"list", (w / "repo").string(), "--json"}).parsed();
  REQUIRE(listed["sets"].size() == kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    CHECK(listed["sets"][i]["kind"] == kinds[i]);
    CHECK(listed["sets"][i]["parent"] == backups[i]["parent"]);
    CHECK(listed["sets"][i]["status"] == "complete");
  }
  check_kept(known, sequences(now));
  // Without the one in the middle those that were built on it are nothing; the others stay what they are.
  fs::rename(w / "repo" / backups[1]["set"].get<std::string>(), w / "away");
  const outcome all = run({"verify", (w / "repo").string(), "--json"});
  CHECK(all.exit == 3);
  const auto verdicts = all.parsed();
  for (const auto& row : verdicts["sets"]) {
    const bool orphan = row["set"] == backups[2]["set"];
    CHECK(row["status"] == (orphan ? "damaged" : "good"));
    if (orphan) CHECK_THAT(row["damage"][0]["what"].get<std::string>(), Contains("cannot be restored: "));
  }
  const outcome orphan = restore(w / "repo", w / "nothing", {"--set", backups[2]["set"].get<std::string>()});
  CHECK(orphan.exit != 0);
  CHECK_THAT(orphan.err, Contains(backups[1]["set"].get<std::string>()));
  CHECK_FALSE(fs::exists(w / "nothing"));
  // Another run finds its base among the sets by what the databases remember.
  const auto next = bench(w / "store", {"--backup-to", (w / "repo").string(), "--kinds", "differential"});
  CHECK(next["backups"][0]["parent"] == backups[5]["set"]);
}

TEST_CASE("cli_pagestore_bench: the set to build on is found among those of a store's copy", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store");
  fs::copy(w / "store", w / "copy");
  const auto full = [&w](const std::string& name) {
    const outcome made = run({"backup", "pagestore:" + (w / name).string(), "--to", (w / "repo").string(), "--json"});
    INFO(made.out << made.err);
    REQUIRE(made.exit == 0);
    return made.parsed()["set"].get<std::string>();
  };
  const auto position = [&w](const std::string& name) {
    return store_run("info", w / name, {"--json"}).parsed()["databases"][0]["backups"]["full"]["position"].get<std::uint64_t>();
  };
  const std::string older = full("store"), newer = full("copy");
  REQUIRE(position("store") == position("copy"));   // the marks differ in their times alone
  const std::string kinds = GENERATE("incremental", "differential");
  const auto of_copy = bench(w / "copy", {"--backup-to", (w / "repo").string(), "--kinds", kinds});
  CHECK(of_copy["backups"][0]["parent"] == newer);
  const auto of_store = bench(w / "store", {"--backup-to", (w / "repo").string(), "--kinds", kinds});
  CHECK(of_store["backups"][0]["parent"] == older);
}

TEST_CASE("cli_pagestore_bench: logs are deleted by the backup when asked to", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store", {"--accounts", "45000"});
  const auto first = [&w] { return store_run("info", w / "store", {"--json"}).parsed()["logs"]["first_generation"].get<std::uint64_t>(); };
  const auto kept = bench(w / "store", {"--backup-to", (w / "repo").string()});
  CHECK(kept["backups"][0]["logs_deleted"] == 0);
  REQUIRE(first() == 1);
  // Those below the one where recovery begins; a copy deletes none.
  const auto deleted = bench(w / "store", {"--backup-to", (w / "repo").string(), "--backups", "2", "--kinds", "copy,full", "--truncate-logs"});
  CHECK(deleted["backups"][0]["logs_deleted"] == 0);
  CHECK(deleted["backups"][1]["logs_deleted"].get<std::uint64_t>() > 0);
  CHECK(first() == deleted["backups"][1]["logs_deleted"].get<std::uint64_t>() + 1);
  CHECK(good(w / "store")["total"] == 45000000);
}

TEST_CASE("cli_pagestore_bench: what cannot be backed up ends it with its code", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store");
  const std::vector<std::string> common{"--seconds", "1", "--json", "--backup-to", (w / "repo").string(), "--kinds"};
  const auto refused = [&](std::vector<std::string> more, int code) {
    more.insert(more.begin(), common.begin(), common.end());
    const outcome got = store_run("bench", w / "store", more);
    INFO(got.out << got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["code"] == code);
    CHECK(good(w / "store")["total"] == 2000000);
  };
  refused({"incremental"}, -560);
  refused({"full,incremental", "--circular", "--backups", "2"}, -526);
  write_all(w / "file", "mine");
  const outcome no_place = store_run("bench", w / "store", {"--seconds", "1", "--json", "--backup-to", (w / "file").string()});
  CHECK(no_place.exit == 1);
  CHECK(no_place.parsed()["error"]["code"] == -20015);
  CHECK(good(w / "store")["total"] == 2000000);
}

TEST_CASE("cli_pagestore_bench: a store without a bank has nothing to transfer", "[cli_pagestore_bench]") {
  const workspace w;
  drive([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::pagestore::parameters with;
    with.directory = w / "store";
    contrail::pagestore::instance store = co_await contrail::pagestore::instance::open(ex, with);
    const fs::path name = "mine.db";
    const contrail::pagestore::database made = co_await store.create(name);
    static_cast<void>(made);
    co_await store.terminate();
  });
  const outcome got = store_run("bench", w / "store", {"--json"});
  CHECK(got.exit == 1);
  CHECK(got.parsed()["error"]["code"] == -1203);
  CHECK_THAT(got.err, Contains("contrail pagestore create"));
}

TEST_CASE("cli_pagestore_bench: durable transactions are told on standard output, the report beside it", "[cli_pagestore_bench]") {
  const workspace w;
  make_bank(w / "store");
  const outcome got = store_run("bench", w / "store", {"--seconds", "1", "--acks", "--json", "--writers", "3"});
  REQUIRE(got.exit == 0);
  std::uint64_t lines = 0;
  const auto told = told_by(got.out, &lines);
  const auto report = nlohmann::ordered_json::parse(got.err);
  CHECK(lines >= report["before"]["commits"].get<std::uint64_t>());
  CHECK(told == sequences(good(w / "store")));
  const outcome words = store_run("bench", w / "store", {"--seconds", "1", "--acks", "--writers", "3"});
  CHECK(words.exit == 0);
  CHECK_THAT(words.err, Contains("commits a second"));
  CHECK(told_by(words.out) == sequences(good(w / "store")));
}

TEST_CASE("cli_pagestore_bench: killed at any moment, nothing that was told is missing", "[cli_pagestore_bench]") {
  constexpr int killing = 9;
  const workspace w;
  make_bank(w / "store");
  std::vector<std::uint64_t> known;
  std::uint64_t lines = 0;
  auto time = std::chrono::milliseconds(60);
  // Alone, and in the middle of backups.
  for (unsigned i = 0; i < 5 || lines == 0; ++i) {
    REQUIRE(i < 20);
    std::vector<std::string> arguments{"pagestore", "bench", (w / "store").string(), "--acks", "--writers", "8", "--seconds", "1"};
    if (i % 2 == 1) arguments.insert(arguments.end(), {"--backup-to", (w / "repo").string(), "--backups", "10000", "--kinds", "full,incremental"});
    program one(CONTRAIL_PROGRAM, arguments);
    std::this_thread::sleep_for(i % 2 == 1 ? time + std::chrono::milliseconds(1000) : time);
    time += std::chrono::milliseconds(60);
    one.kill(killing);
    const outcome got = one.wait();
    const auto told = told_by(got.out, &lines);
    const auto found = good(w / "store");
    CHECK(found["total"] == 2000000);
    check_kept(told, sequences(found));
    check_kept(known, sequences(found));
    // And it was told at once: each writer has one at most that was durable and not yet told.
    std::vector<std::uint64_t> most = known;
    if (most.size() < 8) most.resize(8);
    for (std::size_t writer = 0; writer < told.size(); ++writer) most[writer] = std::max(most[writer], told[writer]);
    known = sequences(found);
    for (std::size_t writer = 0; writer < known.size(); ++writer) CHECK(known[writer] <= most[writer] + 1);
  }
  // What killed backups have left is no set, and in nobody's way.
  CHECK(bench(w / "store", {"--backup-to", (w / "other").string()})["backups"].size() == 1);
  if (!fs::exists(w / "repo")) return;   // none of them came so far
  const auto told = run({"list", (w / "repo").string(), "--json"}).parsed();
  for (const auto& set : told["sets"]) CHECK(set["status"] != "damaged");
}
