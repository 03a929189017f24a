#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;

TEST_CASE("cli_usage: a bare path that is a SQLite database gets a hint", "[cli_usage]") {
  const workspace w;
  make_database(w / "app.db", 3);
  const outcome got = run({"backup", (w / "app.db").string(), "--to", (w / "repo").string()});
  CHECK(got.exit == 2);
  CHECK_THAT(got.err, Contains("sqlite:" + (w / "app.db").string()));
  write_all(w / "notes.txt", "hello");
  const outcome other = run({"backup", (w / "notes.txt").string(), "--to", (w / "repo").string()});
  CHECK(other.exit == 2);
  CHECK_THAT(other.err, !Contains("sqlite:" + (w / "notes.txt").string()));
  CHECK_THAT(other.err, Contains("sqlite:PATH"));
  CHECK(names_in(w.path()) == std::vector<std::string>{"app.db", "notes.txt"});
}

TEST_CASE("cli_usage: info tells of SQLite", "[cli_usage]") {
  CHECK_THAT(run({"info"}).out, Contains(sqlite3_libversion()) && Contains("CONTRAIL_SQLITE=ON"));
  const auto object = run({"info", "--json"}).parsed();
  CHECK(object["engines"][0]["name"] == "sqlite");
  CHECK(object["engines"][0]["version"] == sqlite3_libversion());
}

TEST_CASE("cli_usage: a scheme without a path is wrong usage", "[cli_usage]") {
  const outcome got = run({"backup", "sqlite:", "--to", "r"});
  INFO(got.err);
  CHECK(got.exit == 2);
  CHECK(got.out.empty());
  CHECK_THAT(got.err, Catch::Matchers::StartsWith("contrail: "));
  CHECK(got.err.back() == '\n');
}
