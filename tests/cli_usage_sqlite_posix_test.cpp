#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;

TEST_CASE("cli_usage: a set is complete even when its report cannot be written, and says so", "[cli_usage]") {
  const workspace w;
  make_database(w / "app.db", 50);
  for (const std::string place : {"/dev/full", "closed", "nobody"}) {
    launch how;
    how.standard_output = place;
    how.closed_input = true;
    const outcome got = run({"backup", "sqlite:" + (w / "app.db").string(), "--to", (w / "repo").string(), "--json"}, how);
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK_THAT(got.err, Contains("is complete"));
  }
  const outcome listed = run({"list", (w / "repo").string(), "--json"});
  CHECK(listed.parsed()["sets"].size() == 3);
  CHECK(run({"verify", (w / "repo").string(), "--prove"}).exit == 0);
  CHECK(check_database(w / "app.db") == "ok 50");
}
