#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"
#include "test_system.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

TEST_CASE("cli_backup: backup, list, verify, restore", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 500);
  const std::string repo = (w / "repo").string();
  std::vector<std::string> arguments = backup_of(w / "app.db", repo);
  const outcome words = run(arguments);
  INFO(words.err);
  REQUIRE(words.exit == 0);
  CHECK(words.err.empty());
  CHECK_THAT(words.out, StartsWith("set ") && Contains("full backup of sqlite"));

  arguments.insert(arguments.end(), {"--kind", "copy", "--json"});
  const outcome got = run(arguments);
  REQUIRE(got.exit == 0);
  CHECK(got.err.empty());
  const auto made = got.parsed();
  CHECK(keys(made) == std::vector<std::string>{"schema", "set", "kind", "engine", "files", "bytes", "pages", "pages_retried", "logs_deleted",
                                                "seconds", "backend"});
  CHECK(made["schema"] == 1);
  CHECK(made["kind"] == "copy");
  CHECK(made["engine"] == "sqlite");
  CHECK(made["files"] >= 1);
  CHECK(made["bytes"] >= fs::file_size(w / "app.db"));
  CHECK(made["pages"] >= fs::file_size(w / "app.db") / 4096);
  CHECK(made["pages_retried"] == 0);
  CHECK(made["logs_deleted"] == 0);
  CHECK(made["seconds"].is_number_float());
  CHECK((made["backend"] == "uring" || made["backend"] == "iocp" || made["backend"] == "threads"));

  const auto listed = run({"list", repo, "--json"}).parsed();
  CHECK(keys(listed) == std::vector<std::string>{"schema", "sets"});
  REQUIRE(listed["sets"].size() == 2);
  CHECK(keys(listed["sets"][0]) == std::vector<std::string>{"set", "kind", "parent", "engine", "created", "bytes", "status"});
  CHECK(listed["sets"][0]["kind"] == "full");
  CHECK(listed["sets"][1]["kind"] == "copy");
  CHECK(listed["sets"][1]["set"] == made["set"]);
  CHECK(listed["sets"][1]["parent"].is_null());
  CHECK(listed["sets"][1]["status"] == "complete");
  CHECK_THAT(listed["sets"][1]["created"].get<std::string>(), Catch::Matchers::Matches("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
  const outcome table = run({"list", repo});
  CHECK_THAT(table.out, Contains("SET") && Contains(made["set"].get<std::string>()) && Contains("complete"));

  const outcome verified = run({"verify", repo, "--json"});
  CHECK(verified.exit == 0);
  const auto report = verified.parsed();
  CHECK(keys(report) == std::vector<std::string>{"schema", "sets"});
  REQUIRE(report["sets"].size() == 2);
  CHECK(keys(report["sets"][0]) == std::vector<std::string>{"set", "status", "damage"});
  CHECK(report["sets"][0]["status"] == "good");
  CHECK(report["sets"][0]["damage"].empty());
  CHECK(run({"verify", repo, "--set", "latest", "--json"}).parsed()["sets"].size() == 1);
  const outcome proven = run({"verify", repo, "--prove"});
  CHECK(proven.exit == 0);
  CHECK_THAT(proven.out, Contains("good, proven") && Contains("2 sets, no damage"));

  const outcome restored = run({"restore", repo, "--into", (w / "out").string(), "--json"});
  INFO(restored.err);
  REQUIRE(restored.exit == 0);
  const auto placed = restored.parsed();
  CHECK(keys(placed) == std::vector<std::string>{"schema", "set", "directory", "files", "bytes", "seconds"});
  CHECK(placed["set"] == made["set"]);
  CHECK(placed["directory"] == (w / "out").string());
  CHECK(placed["files"] == 1);
  CHECK(names_in(w / "out") == std::vector<std::string>{"app.db"});
  CHECK(check_database(w / "out" / "app.db") == "ok 500");
}

TEST_CASE("cli_backup: each I/O backend serves", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 200);
  const auto told = run({"info", "--json"}).parsed();
  for (const auto& backend : told["backends"]) {
    if (backend["available"] != true) {
      WARN("backend " << backend["name"] << " is not available here: " << backend["why"]);
      continue;
    }
    const std::string name = backend["name"];
    INFO(name);
    std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
    arguments.insert(arguments.end(), {"--json", "--io-backend", name});
    CHECK(run(arguments).parsed()["backend"] == name);
    CHECK(run({"verify", (w / "repo").string(), "--prove", "--io-backend", name}).exit == 0);
    CHECK(run({"restore", (w / "repo").string(), "--into", (w / name).string(), "--io-backend", name}).exit == 0);
    CHECK(check_database(w / name / "app.db") == "ok 200");
  }
}

TEST_CASE("cli_backup: incremental and differential are not for SQLite, and the words help", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 10);
  for (const std::string kind : {"incremental", "differential"}) {
    std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
    arguments.insert(arguments.end(), {"--kind", kind, "--json"});
    const outcome got = run(arguments);
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["code"] == -526);
    CHECK_THAT(got.err, Contains("full"));
  }
  CHECK(names_in(w.path()) == std::vector<std::string>{"app.db"});
}

TEST_CASE("cli_backup: SQLite has no logs to delete", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 10);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--truncate-logs", "--json"});
  const outcome got = run(arguments);
  INFO(got.out << got.err);
  CHECK(got.exit == 2);
  CHECK_THAT(got.err, Contains("--truncate-logs: sqlite has no logs"));
  CHECK(names_in(w.path()) == std::vector<std::string>{"app.db"});
}

TEST_CASE("cli_backup: sources that cannot be backed up make nothing", "[cli_backup]") {
  const workspace w;
  SECTION("no such file") {
    const auto error = refused(w / "none.db", w / "repo");
    CHECK_THAT(error["message"].get<std::string>(), Contains("none.db"));
  }
  SECTION("no such directory") { refused(w / "no" / "none.db", w / "repo"); }
  SECTION("a directory") {
    fs::create_directory(w / "dir.db");
    refused(w / "dir.db", w / "repo");
  }
  if (has_pipes) {
    SECTION("a pipe") {
      make_pipe(w / "pipe.db");
      refused(w / "pipe.db", w / "repo");
    }
  }
  SECTION("not a database") {
    write_all(w / "text.db", std::string(100000, 'x'));
    refused(w / "text.db", w / "repo");
    CHECK(read_all(w / "text.db") == std::string(100000, 'x'));
  }
  SECTION("shorter than a header") {
    write_all(w / "short.db", "SQLite format 3");
    refused(w / "short.db", w / "repo");
  }
  SECTION("empty") {
    write_all(w / "empty.db", "");
    refused(w / "empty.db", w / "repo");
    CHECK(fs::file_size(w / "empty.db") == 0);
  }
  SECTION("rollback journal") {
    make_database(w / "old.db", 10, "delete");
    const auto error = refused(w / "old.db", w / "repo");
    CHECK(error["code"] == -516);
    CHECK_THAT(error["message"].get<std::string>(), Contains("WAL") || Contains("wal"));
    CHECK(check_database(w / "old.db") == "ok 10");
  }
  CHECK_FALSE(fs::exists(w / "repo"));
  // No database is left with files beside it that were not there before.
  for (const std::string& name : names_in(w.path())) {
    INFO(name);
    CHECK_THAT(name, Catch::Matchers::EndsWith(".db"));
  }
}

TEST_CASE("cli_backup: destinations that cannot take a set", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 200);
  SECTION("a file") {
    write_all(w / "repo", "mine");
    refused(w / "app.db", w / "repo");
    CHECK(read_all(w / "repo") == "mine");
  }
  SECTION("below a file") {
    write_all(w / "file", "mine");
    refused(w / "app.db", w / "file" / "repo");
    CHECK(read_all(w / "file") == "mine");
  }
  SECTION("its parent is missing") {
    refused(w / "app.db", w / "no" / "repo");
    CHECK_FALSE(fs::exists(w / "no"));
  }
  CHECK(check_database(w / "app.db") == "ok 200");
}

TEST_CASE("cli_backup: the second backup of one database is refused, the first goes on", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 2000);
  const fs::path same = w / (has_links ? "link.db" : "app.db");
  if (has_links) fs::create_symlink(w / "app.db", same);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--rate-limit", "500K", "--json"});
  program first(CONTRAIL_PROGRAM, arguments);
  while (first.running() && names_in(w / "repo").empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(first.running());
  // While it runs, its set is listed as such, and is nothing to verify or restore.
  const outcome listed = run({"list", (w / "repo").string(), "--json"});
  REQUIRE(listed.exit == 0);
  REQUIRE(listed.parsed()["sets"].size() == 1);
  CHECK(listed.parsed()["sets"][0]["status"] == "in-progress");
  CHECK(run({"verify", (w / "repo").string()}).exit == 1);
  CHECK(run({"restore", (w / "repo").string(), "--into", (w / "out").string()}).exit == 1);

  CHECK(refused(w / "app.db", w / "other")["code"] == -505);
  CHECK(refused(same, w / "repo")["name"] == "backup_in_progress");
  CHECK_FALSE(fs::exists(w / "other"));
  const outcome got = first.wait();
  INFO(got.err);
  CHECK(got.exit == 0);
  CHECK(got.err.empty());
  CHECK(run({"verify", (w / "repo").string(), "--prove"}).exit == 0);
  CHECK(run(backup_of(same, w / "repo")).exit == 0);
}

TEST_CASE("cli_backup: two databases go into one repository at once", "[cli_backup]") {
  const workspace w;
  make_database(w / "one.db", 700);
  make_database(w / "two.db", 900);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::string> one = backup_of(w / "one.db", w / "repo"), two = backup_of(w / "two.db", w / "repo");
    one.insert(one.end(), {"--rate-limit", "4M"});
    two.insert(two.end(), {"--rate-limit", "4M"});
    program first(CONTRAIL_PROGRAM, one), second(CONTRAIL_PROGRAM, two);
    const outcome a = first.wait(), b = second.wait();
    INFO(a.err << b.err);
    CHECK(a.exit == 0);
    CHECK(b.exit == 0);
    CHECK((a.err.empty() && b.err.empty()));
  }
  const auto listed = run({"list", (w / "repo").string(), "--json"}).parsed();
  CHECK(listed["sets"].size() == 6);
  CHECK(run({"verify", (w / "repo").string(), "--prove"}).exit == 0);
  CHECK(names_in(w / "repo").size() == 6);
}

TEST_CASE("cli_backup: progress is on standard error, and only when asked for", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 1500);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--rate-limit", "2M", "--json", "--progress", "always"});
  const outcome shown = run(arguments);
  REQUIRE(shown.exit == 0);
  CHECK(shown.parsed().contains("set"));
  CHECK_THAT(shown.err, (Contains("\rbackup  ") || StartsWith("backup  ")) && Contains("%") && Contains("/s") && Contains(" left"));
  // Taken away at the end.
  CHECK_THAT(shown.err, Catch::Matchers::EndsWith("\x1b[K"));
  arguments.back() = "auto";
  CHECK(run(arguments).err.empty());
}

TEST_CASE("cli_backup: too little memory is told", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 10);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--memory", "1"});
  const outcome tiny = run(arguments);
  INFO(tiny.err);
  CHECK(tiny.exit == 2);
  CHECK_THAT(tiny.err, Contains("memory"));
  CHECK_FALSE(fs::exists(w / "repo"));
}

TEST_CASE("cli_backup: limits of the pin end a backup", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 3000);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  SECTION("age") {
    arguments.insert(arguments.end(), {"--rate-limit", "1M", "--max-pin-age", "1s", "--json"});
    const outcome got = run(arguments);
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["name"] == "pin_too_old");
    CHECK_THAT(got.err, Contains("--max-pin-age"));
  }
  SECTION("log") {
    arguments.insert(arguments.end(), {"--rate-limit", "500K", "--max-log-growth", "256K", "--json"});
    program slow(CONTRAIL_PROGRAM, arguments);
    database writer(w / "app.db");
    while (slow.running()) {
      writer.run("INSERT INTO t(data) VALUES (randomblob(20000))");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const outcome got = slow.wait();
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["name"] == "pin_too_large");
    CHECK_THAT(got.err, Contains("--max-log-growth"));
  }
  CHECK(names_in(w / "repo").empty());
}
