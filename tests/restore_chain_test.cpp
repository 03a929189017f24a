#include <contrail/error.hpp>
#include <contrail/restore.hpp>
#include <contrail/verify.hpp>
#include "support/repo_restore_place.hpp"
#include "support/verify_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fs = std::filesystem;
using contrail::errc;
using contrail::file_role;

namespace {

void flip(const fs::path& path, std::size_t at) {
  std::string bytes = read_file(path);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
  write_file(path, bytes);
}

/// A full set and two that build on it, of an engine without rules.
struct three_sets {
  repo_restore_place p;
  std::vector<std::string> sets;

  three_sets() {
    sets.push_back(p.back_up({repo_file("app.db", pattern_bytes(70001, 1)), repo_file("log.1", "first", file_role::log)}));
    sets.push_back(p.back_up({repo_file("log.2", pattern_bytes(30000, 2), file_role::log)}));
    sets.push_back(p.back_up({repo_file("log.3", "third", file_role::log), repo_file("log.4", "fourth", file_role::log)}));
    build(1, sets[0]);
    build(2, sets[1]);
    p.set = sets[2];
    p.with.links = 3;
  }
  fs::path at(std::size_t i) const { return p.dir / "repo" / sets[i]; }
  void build(std::size_t i, const std::string& on) {
    repo_edit_manifest(at(i), [&on](nlohmann::ordered_json& j) {
      j["kind"] = "incremental";
      j["parent"] = on;
    });
  }
  std::string words() {
    try {
      p.restore();
    } catch (const contrail::error& e) {
      return std::string(e.details().expected) + "; " + e.details().found + "; " + e.what();
    }
    return {};
  }
};

}  // namespace

TEST_CASE("restore_chain: a set comes with those that it was built on", "[restore_chain]") {
  three_sets t;
  std::vector<std::string> chain, names;
  t.p.with.on_recover = [&](const contrail::recovery& work) {
    for (const auto& m : work.chain) chain.push_back(m->set);
    for (const auto& f : work.files) {
      names.push_back(f.name);
      CHECK(fs::file_size(work.directory / f.name) == f.bytes);
    }
  };
  const contrail::restore_report r = t.p.restore();
  CHECK(chain == t.sets);
  CHECK(names == std::vector<std::string>{"app.db", "log.1", "log.2", "log.3", "log.4"});
  CHECK(r.set == t.sets[2]);
  CHECK(r.files == 1);
  CHECK(repo_names(t.p.into) == std::vector<std::string>{"app.db"});
  CHECK(t.p.counters.bytes_read == 70001 + 30000 + 16);
  CHECK(t.p.counters.bytes_total == 70001 + 30000 + 16);
}

TEST_CASE("restore_chain: a link in the middle, and the full set alone", "[restore_chain]") {
  three_sets t;
  const std::size_t i = GENERATE(0U, 1U);
  t.p.set = t.sets[i];
  t.p.with.links = i + 1;
  CHECK(t.p.restore().set == t.sets[i]);
}

TEST_CASE("restore_chain: what is wrong with a chain is said, and nothing is left behind", "[restore_chain]") {
  three_sets t;
  std::error_code expected = errc::set_incomplete;
  std::string word = t.sets[0];
  SECTION("the full set is not there") { fs::rename(t.at(0), t.p.dir / "away"); }
  SECTION("it has another mark") {
    repo_edit_manifest(t.at(0), [](nlohmann::ordered_json& j) { j["mark"]["position"] = 5; });
  }
  SECTION("it is another engine's") {
    repo_edit_manifest(t.at(0), [](nlohmann::ordered_json& j) { j["engine"] = "other"; });
  }
  SECTION("it is younger") {
    repo_edit_manifest(t.at(0), [](nlohmann::ordered_json& j) { j["sequence"] = 9; });
  }
  SECTION("one builds on itself") {
    t.build(1, t.sets[1]);
    word = t.sets[1];
  }
  SECTION("they build on each other") {
    t.build(1, t.sets[2]);
    word = t.sets[2];
  }
  SECTION("one leads out of the repository") {
    t.build(1, "../away");
    expected = errc::set_damaged;
    word = "away";
  }
  SECTION("it begins with a copy") {
    repo_edit_manifest(t.at(0), [](nlohmann::ordered_json& j) { j["kind"] = "copy"; });
    expected = errc::set_damaged;
    word = "a full set to begin with";
  }
  SECTION("a manifest below is damaged") {
    flip(t.at(1) / "manifest.json", 300);
    expected = errc::set_damaged;
    word = t.sets[1];
  }
  SECTION("a file below is damaged") {
    flip(t.at(0) / "app.db", 5);
    expected = errc::set_damaged;
    word = "app.db";
  }
  SECTION("a name is in two sets") {
    repo_edit_lines(t.at(1), "path", "log.1");
    fs::rename(t.at(1) / "log.2", t.at(1) / "log.1");
    expected = errc::set_damaged;
    word = "log.1";
  }
  CHECK(t.p.code() == expected);
  const std::string words = t.words();
  INFO(words);
  CHECK(words.find(word) != std::string::npos);
  CHECK_FALSE(fs::exists(t.p.into));
}

TEST_CASE("restore_chain: cancelled at any turn leaves nothing", "[restore_chain]") {
  three_sets t;
  const std::size_t before = open_descriptors();
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; turn += 2) {
    bool finished = false;
    contrail::restore_report r;
    const auto work = [&]() -> asio::awaitable<void> { co_await t.p.restore_into(r); };
    const std::error_code ec = repo_cancel_at(t.p.context, turn, finished, work);
    if (ec) {
      ++cancelled;
      CHECK_FALSE(fs::exists(t.p.into));
    } else {
      CHECK(repo_names(t.p.into) == std::vector<std::string>{"app.db"});
      fs::remove_all(t.p.into);
    }
    if (finished) break;
    REQUIRE(turn < 5000);
  }
  CHECK(cancelled > 50);
  CHECK(open_descriptors() == before);
}

TEST_CASE("restore_chain: the memory for lists is for those of all sets together", "[restore_chain]") {
  repo_restore_place p;
  std::vector<std::string> sets;
  for (unsigned i = 0; i < 3; ++i) {
    std::vector<repo_file> many;
    for (unsigned k = 0; k < 1400; ++k) many.emplace_back(std::string(230, 'n') + std::to_string(i) + "." + std::to_string(k), "x", file_role::log);
    sets.push_back(p.back_up(many));
    if (i == 0) continue;
    repo_edit_manifest(p.dir / "repo" / sets[i], [&](nlohmann::ordered_json& j) {
      j["kind"] = "incremental";
      j["parent"] = sets[i - 1];
    });
  }
  p.with.links = 3;
  CHECK(p.code() == errc::out_of_memory);
  CHECK_FALSE(fs::exists(p.into));
  p.set = sets[0];
  p.with.links = 1;
  CHECK(p.code() == std::error_code());
}

TEST_CASE("restore_chain: verify finds that a link is missing, and proves with all of them", "[restore_chain]") {
  verify_place p;
  std::vector<std::string> sets;
  for (unsigned i = 0; i < 2; ++i) {
    std::vector<repo_file> content;
    content.emplace_back("file." + std::to_string(i), pattern_bytes(700, i), i == 0 ? file_role::database : file_role::log);
    sets.push_back(p.back_up(content));
  }
  repo_edit_manifest(p.dir / "repo" / sets[1], [&sets](nlohmann::ordered_json& j) {
    j["kind"] = "incremental";
    j["parent"] = sets[0];
  });
  CHECK(p.verify().sets.at(1).damage.empty());
  p.provers.with.links = 2;
  std::size_t files = 0;
  p.provers.with.on_recover = [&files](const contrail::recovery& work) { files = work.files.size(); };
  CHECK(p.verify("latest", true).sets.at(0).proven);
  CHECK(files == 2);
  fs::rename(p.dir / "repo" / sets[0], p.dir / "away");
  for (const bool prove : {false, true}) {
    const contrail::verify_report r = p.verify("latest", prove);
    REQUIRE(r.sets.at(0).damage.size() == 1);
    CHECK(r.sets[0].damage[0].what.find("cannot be restored: ") == 0);
    CHECK(r.sets[0].damage[0].what.find(sets[0]) != std::string::npos);
    CHECK_FALSE(r.sets[0].proven);
  }
  CHECK(repo_names(p.scratch).empty());
}
