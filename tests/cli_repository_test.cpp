#include "support/cli_commands.hpp"
#include "support/repo_place.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

// Commands that need no engine, on sets that were made without one.

TEST_CASE("cli_repository: sets of any engine are listed and verified, damage is found and named", "[cli_repository]") {
  repo_place p;
  const std::string repo = (p.dir / "repo").string();
  std::vector<std::string> sets;
  for (unsigned i = 0; i < 2; ++i) {
    std::vector<repo_file> content = repo_small_set();
    content.emplace_back("sub/big", pattern_bytes(3 << 20, i + 1));
    sets.push_back(p.back_up(content).set);
  }
  const outcome listed = run({"list", repo, "--json"});
  INFO(listed.out << listed.err);
  REQUIRE(listed.exit == 0);
  const auto rows = listed.parsed()["sets"];
  REQUIRE(rows.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(rows[i]["set"] == sets[i]);
    CHECK(rows[i]["engine"] == "fake");
    CHECK(rows[i]["status"] == "complete");
    CHECK(rows[i]["bytes"] == (3 << 20) + 25001);
  }
  const outcome words = run({"list", repo});
  CHECK(words.exit == 0);
  for (const std::string& set : sets) CHECK_THAT(words.out, Contains(set));

  for (const std::string backend : {"auto", "threads"}) {
    const outcome verified = run({"verify", repo, "--json", "--io-backend", backend});
    INFO(verified.out << verified.err);
    CHECK(verified.exit == 0);
    const auto found = verified.parsed()["sets"];
    REQUIRE(found.size() == 2);
    for (const auto& row : found) CHECK(row["damage"].empty());
  }

  const fs::path victim = p.dir / "repo" / sets[0] / "sub" / "big";
  std::string bytes = read_file(victim);
  bytes[2'000'000] = static_cast<char>(bytes[2'000'000] ^ 8);
  write_file(victim, bytes);
  const outcome damaged = run({"verify", repo, "--json"});
  INFO(damaged.out << damaged.err);
  CHECK(damaged.exit == 3);
  const auto seen = damaged.parsed()["sets"];
  REQUIRE(seen.size() == 2);
  CHECK(seen[0]["status"] == "damaged");
  REQUIRE(seen[0]["damage"].size() == 1);
  CHECK(seen[0]["damage"][0]["file"] == "sub/big");
  CHECK(seen[1]["damage"].empty());
  CHECK(run({"verify", repo, "--set", sets[1]}).exit == 0);
  CHECK(run({"verify", repo, "--set", sets[0]}).exit == 3);
}

TEST_CASE("cli_repository: a set of an engine that the program does not know is not restored, and in words", "[cli_repository]") {
  repo_place p;
  p.back_up(repo_small_set());
  const fs::path out = p.dir / "out";
  const outcome got = run({"restore", (p.dir / "repo").string(), "--into", out.string(), "--json"});
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Contains("fake"));
  CHECK(got.parsed()["error"]["name"] == "feature_not_built");
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("cli_repository: nothing to list, verify or restore", "[cli_repository]") {
  const workspace w;
  const std::string repo = (w / "repo").string();
  const std::string out = (w / "out").string();
  SECTION("no repository") {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"list", repo}, {"verify", repo}, {"restore", repo, "--into", out}}) {
      const outcome got = run(arguments);
      INFO(got.err);
      CHECK(got.exit == 1);
      CHECK_THAT(got.err, Contains("repo"));
    }
  }
  SECTION("an empty one") {
    fs::create_directory(w / "repo");
    const outcome listed = run({"list", repo});
    CHECK(listed.exit == 0);
    CHECK_THAT(listed.out, Contains("no sets"));
    CHECK(run({"list", repo, "--json"}).parsed()["sets"].empty());
    const outcome verified = run({"verify", repo, "--json"});
    CHECK(verified.exit == 1);
    CHECK(verified.parsed()["error"]["name"] == "set_not_found");
    CHECK(run({"restore", repo, "--into", out}).exit == 1);
  }
  SECTION("a file") {
    write_all(w / "repo", "mine");
    CHECK(run({"list", repo}).exit == 1);
    CHECK(run({"verify", repo}).exit == 1);
    CHECK(run({"restore", repo, "--into", out}).exit == 1);
    CHECK(read_all(w / "repo") == "mine");
  }
  CHECK_FALSE(fs::exists(w / "out"));
}

TEST_CASE("cli_repository: names beyond ASCII in arguments", "[cli_repository]") {
  repo_place p;
  const std::string name = "Gr\xc3\xbc\xc3\x9f" "e \xe6\x97\xa5\xe6\x9c\xac";
  const std::u8string as_utf8(name.begin(), name.end());
  const fs::path repo = p.dir / fs::path(as_utf8);
  contrail::directory_repository named(p.files, repo);
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    const contrail::manifest m = co_await repo_write(named, repo_small_set());
  });
  const outcome got = run({"verify", (p.dir.path() / as_utf8).string()});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK(run({"list", (p.dir.path() / as_utf8).string() + "x"}).exit == 1);
}
