#include "support/cli_commands.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("cli_usage: wrong usage is exit status 2, in words, and nothing on standard output", "[cli_usage]") {
  const std::vector<std::vector<std::string>> wrong{
      {}, {"frobnicate"}, {"backup"}, {"backup", "sqlite:a"}, {"backup", "sqlite:a", "--to", "r", "--frob"},
      {"backup", "sqlite:a", "--to", "r", "--memory", "lots"}, {"backup", "sqlite:a", "--to", "r", "--rate-limit", "-1"},
      {"backup", "sqlite:a", "--to", "r", "--max-pin-age", "60"}, {"backup", "", "--to", "r"},
      {"backup", "app.db", "--to", "r"}, {"backup", "/srv/a:b", "--to", "r"}, {"verify"}, {"restore", "repo"}, {"list"}};
  for (const auto& arguments : wrong) {
    const outcome got = run(arguments);
    INFO(got.err);
    CHECK(got.exit == 2);
    CHECK(got.out.empty());
    CHECK_THAT(got.err, StartsWith("contrail: "));
    CHECK(got.err.back() == '\n');
  }
}

TEST_CASE("cli_usage: with --json wrong usage is an object, too", "[cli_usage]") {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"backup", "--json"}, {"--json"}, {"verify", "r", "--frob", "--json"}, {"backup", "app.db", "--to", "r", "--json"}}) {
    const outcome got = run(arguments);
    INFO(got.out << got.err);
    CHECK(got.exit == 2);
    const auto object = got.parsed();
    CHECK(keys(object) == std::vector<std::string>{"schema", "error"});
    CHECK(object["schema"] == 1);
    CHECK(keys(object["error"]) == std::vector<std::string>{"code", "name", "message", "operation", "file", "offset", "set"});
    CHECK(object["error"]["code"] == -1003);
    CHECK(object["error"]["name"] == "invalid_parameter");
    CHECK(object["error"]["offset"].is_null());
    CHECK(object["error"]["set"].is_null());
    CHECK_FALSE(got.err.empty());
  }
}

TEST_CASE("cli_usage: engines that nobody knows, and engines that were not built in", "[cli_usage]") {
  const workspace w;
  const outcome unknown = run({"backup", "oracle:db", "--to", (w / "repo").string(), "--json"});
  CHECK(unknown.exit == 2);
  CHECK(unknown.parsed()["error"]["name"] == "unknown_scheme");
  CHECK(unknown.parsed()["error"]["code"] == -20021);
  CHECK_THAT(unknown.err, Contains("oracle"));
  for (const auto& [engine, option] : std::vector<std::pair<std::string, std::string>>{
           {"rocksdb", "CONTRAIL_ROCKSDB"}, {"postgres", "CONTRAIL_POSTGRES"}}) {
    const outcome known = run({"backup", engine + ":x", "--to", (w / "repo").string(), "--json"});
    CHECK(known.exit == 1);
    CHECK(known.parsed()["error"]["name"] == "feature_not_built");
    CHECK(known.parsed()["error"]["code"] == -20020);
    CHECK_THAT(known.err, Contains(option));
  }
  CHECK(names_in(w.path()).empty());
}

TEST_CASE("cli_usage: help and version", "[cli_usage]") {
  const outcome version = run({"--version"});
  CHECK(version.exit == 0);
  CHECK_THAT(version.out, StartsWith("contrail "));
  CHECK(version.err.empty());
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{{"--help"}, {"-h"}, {"backup", "--help"}, {"demo", "--help"}}) {
    const outcome help = run(arguments);
    CHECK(help.exit == 0);
    CHECK_THAT(help.out, Contains("Exit status"));
    CHECK(help.err.empty());
  }
}

TEST_CASE("cli_usage: info tells the backends and the build", "[cli_usage]") {
  const outcome words = run({"info"});
  CHECK(words.exit == 0);
  CHECK_THAT(words.out, Contains("I/O backend: ") && Contains("threads") && Contains("CONTRAIL_SQLITE="));
  const outcome got = run({"info", "--json"});
  REQUIRE(got.exit == 0);
  const auto object = got.parsed();
  CHECK(keys(object) == std::vector<std::string>{"schema", "version", "backend", "backends", "engines", "build"});
  CHECK(object["schema"] == 1);
  CHECK(keys(object["backend"]) == std::vector<std::string>{"name", "why", "registered_buffers"});
  bool threads = false;
  for (const auto& backend : object["backends"]) {
    threads = threads || (backend["name"] == "threads" && backend["available"] == true);
  }
  CHECK(threads);
  CHECK(run({"info", "--json", "--io-backend", "threads"}).parsed()["backend"]["name"] == "threads");
}

TEST_CASE("cli_usage: the environment chooses the backend, and garbage in it is an error", "[cli_usage]") {
  launch how;
  how.environment["CONTRAIL_IO_BACKEND"] = "threads";
  CHECK(run({"info", "--json"}, how).parsed()["backend"]["name"] == "threads");
  how.environment["CONTRAIL_IO_BACKEND"] = "floppy";
  const outcome got = run({"info"}, how);
  INFO(got.err);
  CHECK(got.exit == 2);
  CHECK_THAT(got.err, Contains("CONTRAIL_IO_BACKEND"));
  CHECK_THAT(got.err, Contains("floppy"));
  CHECK(run({"info", "--io-backend", "threads"}, how).exit == 0);
}
