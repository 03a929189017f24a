#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

TEST_CASE("cli_restore: nothing to list, verify or restore", "[cli_restore]") {
  const workspace w;
  SECTION("no repository") {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"list", (w / "none").string()}, {"verify", (w / "none").string()}, {"restore", (w / "none").string(), "--into", (w / "out").string()}}) {
      const outcome got = run(arguments);
      INFO(got.err);
      CHECK(got.exit == 1);
      CHECK_THAT(got.err, Contains("none"));
    }
  }
  SECTION("an empty one") {
    fs::create_directory(w / "repo");
    const outcome listed = run({"list", (w / "repo").string()});
    CHECK(listed.exit == 0);
    CHECK_THAT(listed.out, Contains("no sets"));
    CHECK(run({"list", (w / "repo").string(), "--json"}).parsed()["sets"].empty());
    const outcome verified = run({"verify", (w / "repo").string(), "--json"});
    CHECK(verified.exit == 1);
    CHECK(verified.parsed()["error"]["name"] == "set_not_found");
    CHECK(restore(w / "repo", w / "out").exit == 1);
  }
  SECTION("a file") {
    write_all(w / "repo", "mine");
    CHECK(run({"list", (w / "repo").string()}).exit == 1);
    CHECK(run({"verify", (w / "repo").string()}).exit == 1);
    CHECK(restore(w / "repo", w / "out").exit == 1);
    CHECK(read_all(w / "repo") == "mine");
  }
  SECTION("an unknown set") {
    make_database(w / "app.db", 5);
    back_up(w / "app.db", w / "repo");
    for (const std::string set : {"20200101T000000Z-00000000", "nonsense", "../repo", ".", "/"}) {
      INFO(set);
      CHECK(run({"verify", (w / "repo").string(), "--set", set}).exit == 1);
      CHECK(restore(w / "repo", w / "out", {"--set", set}).exit == 1);
    }
  }
  CHECK_FALSE(fs::exists(w / "out"));
}

TEST_CASE("cli_restore: each set gives back its own time", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  const std::string first = back_up(w / "app.db", w / "repo");
  {
    database writer(w / "app.db");
    writer.run("DELETE FROM t WHERE id > 4");
  }
  back_up(w / "app.db", w / "repo");
  CHECK(restore(w / "repo", w / "old", {"--set", first}).exit == 0);
  CHECK(restore(w / "repo", w / "new").exit == 0);
  CHECK(check_database(w / "old" / "app.db") == "ok 10");
  CHECK(check_database(w / "new" / "app.db") == "ok 4");
}

TEST_CASE("cli_restore: the log that nobody had copied back yet is in the set", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  database writer(w / "app.db");
  writer.run("PRAGMA wal_autocheckpoint=0");
  writer.run("INSERT INTO t(data) SELECT randomblob(5000) FROM t");
  REQUIRE(fs::file_size(w / "app.db-wal") > 50000);
  back_up(w / "app.db", w / "repo");
  CHECK(restore(w / "repo", w / "out").exit == 0);
  CHECK(names_in(w / "out") == std::vector<std::string>{"app.db"});
  CHECK(check_database(w / "out" / "app.db") == "ok 20");
}

TEST_CASE("cli_restore: files that are there stay without --force, and go with it", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  back_up(w / "app.db", w / "repo");
  fs::create_directory(w / "out");
  write_all(w / "out" / "app.db", "old");
  write_all(w / "out" / "app.db-wal", "old");
  write_all(w / "out" / "app.db-shm", "old");
  write_all(w / "out" / "app.db-journal", "old");
  write_all(w / "out" / "mine.txt", "mine");

  const outcome refused = restore(w / "repo", w / "out", {"--json"});
  INFO(refused.err);
  CHECK(refused.exit == 1);
  CHECK(refused.parsed()["error"]["name"] == "set_exists");
  CHECK_THAT(refused.err, Contains("--force") && Contains("app.db"));
  CHECK(read_all(w / "out" / "app.db") == "old");
  CHECK(names_in(w / "out").size() == 5);

  const outcome forced = restore(w / "repo", w / "out", {"--force"});
  INFO(forced.err);
  CHECK(forced.exit == 0);
  CHECK(names_in(w / "out") == std::vector<std::string>{"app.db", "mine.txt"});
  CHECK(check_database(w / "out" / "app.db") == "ok 10");
  CHECK(read_all(w / "out" / "mine.txt") == "mine");
}

TEST_CASE("cli_restore: a database that a process has open is not replaced, --force or not", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  back_up(w / "app.db", w / "repo");
  fs::create_directory(w / "out");
  make_database(w / "out" / "app.db", 3);
  database user(w / "out" / "app.db");
  REQUIRE(user.ask("SELECT count(*) FROM t") == "3");
  for (const bool force : {false, true}) {
    const outcome got = restore(w / "repo", w / "out", force ? std::vector<std::string>{"--force", "--json"} : std::vector<std::string>{"--json"});
    INFO(got.err);
    CHECK(got.exit == 1);
    if (force) {
      CHECK(got.parsed()["error"]["name"] == "database_locked");
    }
  }
  user.run("INSERT INTO t(data) VALUES ('still here')");
  CHECK(user.ask("SELECT count(*) FROM t") == "4");
}

TEST_CASE("cli_restore: targets that cannot be", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 2000);
  back_up(w / "app.db", w / "repo");
  SECTION("a file") {
    write_all(w / "out", "mine");
    CHECK(restore(w / "repo", w / "out").exit == 1);
    CHECK(read_all(w / "out") == "mine");
  }
  SECTION("the repository itself, or a set in it") {
    CHECK(restore(w / "repo", w / "repo", {"--force"}).exit == 1);
    for (const std::string& set : names_in(w / "repo")) CHECK(restore(w / "repo", w / "repo" / set, {"--force"}).exit == 1);
    CHECK(run({"verify", (w / "repo").string()}).exit == 0);
  }
  SECTION("below a file") {
    write_all(w / "file", "mine");
    CHECK(restore(w / "repo", w / "file" / "out").exit == 1);
    CHECK(read_all(w / "file") == "mine");
  }
  SECTION("a directory has the file's name") {
    fs::create_directories(w / "out" / "app.db" / "deep");
    CHECK(restore(w / "repo", w / "out").exit == 1);
    CHECK(restore(w / "repo", w / "out", {"--force"}).exit == 1);
    CHECK(names_in(w / "out") == std::vector<std::string>{"app.db"});
    CHECK(fs::is_directory(w / "out" / "app.db" / "deep"));
  }
  CHECK(run({"verify", (w / "repo").string()}).exit == 0);
}

TEST_CASE("cli_restore: an administrator who opens the stored database with SQLite leaves it as it was", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  database writer(w / "app.db");
  writer.run("PRAGMA wal_autocheckpoint=0");
  writer.run("INSERT INTO t(data) SELECT randomblob(5000) FROM t");
  const std::string set = back_up(w / "app.db", w / "repo");
  for (const std::string& name : names_in(w / "repo" / set)) {
    INFO(name);
    CHECK_THAT(name, !Contains("-wal") && !Contains("-shm"));
  }
  {
    database reader(w / "repo" / set / "app.db");
    reader.ask("SELECT count(*) FROM t");
  }
  const outcome got = run({"verify", (w / "repo").string(), "--prove"});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
}
