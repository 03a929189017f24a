// What the program leaves behind that is ended from outside, at any moment, without a chance to clean up.
#include "support/cli_database_place.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr int killing = 9;

}  // namespace

TEST_CASE("cli_killed: a backup, at many moments", "[cli_killed]") {
  const place p;
  const auto whole = duration_of(p.backup("4M"));
  unsigned swept = 0;
  for (unsigned i = 0; i < 12; ++i) {
    {
      program one(CONTRAIL_PROGRAM, p.backup("4M", backend(i)));
      std::this_thread::sleep_for(whole * i / 12);
      one.kill(killing);
      one.wait();
    }
    // Whatever it left is no set; the database is as it was.
    const outcome listed = run({"list", (p.w / "repo").string(), "--json"});
    INFO(listed.out << listed.err);
    if (listed.exit == 0) {
      const auto told = listed.parsed();
      for (const auto& set : told["sets"]) {
        CHECK(set["status"] != "damaged");
      }
    }
    const std::size_t partials = [&p] {
      std::size_t count = 0;
      for (const std::string& name : names_in(p.w / "repo")) {
        // A lock alone, of a set that was just committed or not yet begun, goes without a word.
        count += name.rfind(".partial-", 0) == 0 && fs::is_directory(p.w / "repo" / name) ? 1U : 0U;
      }
      return count;
    }();
    // The next run removes it, says so, and works.
    const outcome next = run(p.backup("none"));
    INFO(next.out << next.err);
    CHECK(next.exit == 0);
    if (partials > 0) {
      ++swept;
      CHECK_THAT(next.err, Contains(".partial-"));
    }
    p.check_clean();
  }
  CHECK(swept >= 1);
  CHECK(run({"verify", (p.w / "repo").string(), "--prove"}).exit == 0);
  CHECK(check_database(p.w / "app.db") == "ok 1500");
}

TEST_CASE("cli_killed: a restore over a database, at many moments", "[cli_killed]") {
  const place p(8000);
  REQUIRE(run(p.backup("none")).exit == 0);
  const auto arguments = [&p](unsigned i) {
    return std::vector<std::string>{"restore", (p.w / "repo").string(), "--into", (p.w / "out").string(), "--json", "--memory", "2M",
                                    "--force", "--io-backend", backend(i)};
  };
  const auto whole = duration_of(arguments(0));
  unsigned old = 0, fresh = 0;
  for (unsigned i = 0; i < 16; ++i) {
    fs::remove_all(p.w / "out");
    fs::create_directory(p.w / "out");
    make_database(p.w / "out" / "app.db", 7);
    {
      program one(CONTRAIL_PROGRAM, arguments(i));
      std::this_thread::sleep_for(whole * i / 14);
      one.kill(killing);
      one.wait();
    }
    INFO("moment " << i);
    // It is whole, or the new one is.
    const std::string state = check_database(p.w / "out" / "app.db");
    CHECK((state == "ok 7" || state == "ok 8000"));
    ++(state == "ok 7" ? old : fresh);
    // Hidden leftovers are allowed, and gone after the next restore.
    const outcome next = run(arguments(i));
    INFO(next.err);
    CHECK(next.exit == 0);
    CHECK(check_database(p.w / "out" / "app.db") == "ok 8000");
    CHECK(names_in(p.w / "out") == std::vector<std::string>{"app.db"});
  }
  CHECK(old >= 1);
  WARN("replaced " << fresh << " times of 16");
  p.check_clean();
}
