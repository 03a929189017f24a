// The part of the demonstration that every build has.
#include "support/cli_store.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <regex>
#include <string>

using namespace contrail::test;
using Catch::Matchers::Contains;

TEST_CASE("cli_demo_store: a pagestore under load is backed up, restored and right", "[cli_demo_store]") {
  const workspace w;
  const outcome got = run({"demo", "--seconds", "1", "--keep", "--dir", w.path().string(), "--progress", "always"});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK_THAT(got.out, Contains("the restored store is right") && Contains("commits a second"));
  CHECK_THAT(got.err, Contains("   backup  [#"));
  std::smatch found;
  REQUIRE(std::regex_search(got.out, found, std::regex("store is right: ([0-9]+) transactions")));
  const std::uint64_t transactions = std::stoull(found[1]);
  CHECK(transactions > 0);
  REQUIRE(names_in(w.path()).size() == 1);
  const auto place = w / names_in(w.path()).front();
  // What it says of the restored one is so; the store itself went on.
  const auto restored = good(place / "store-restored");
  CHECK(restored["total"] == 20000000);
  std::uint64_t there = 0, later = 0;
  for (const std::uint64_t last : sequences(restored)) there += last;
  CHECK(there == transactions);
  for (const std::uint64_t last : sequences(good(place / "store"))) later += last;
  CHECK(later >= there);
  CHECK(run({"verify", (place / "store-repository").string(), "--prove"}).exit == 0);
}
