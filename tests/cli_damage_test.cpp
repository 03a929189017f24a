#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"
#include "test_system.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A repository with one set, whose database has a log.
struct damaged_repository {
  damaged_repository() {
    make_database(w / "app.db", 60);
    database writer(w / "app.db");
    writer.run("PRAGMA wal_autocheckpoint=0");
    writer.run("INSERT INTO t(data) SELECT randomblob(3000) FROM t");
    const outcome got = run({"backup", "sqlite:" + (w / "app.db").string(), "--to", (w / "repo").string(), "--json"});
    INFO(got.err);
    REQUIRE(got.exit == 0);
    set = got.parsed()["set"];
    fs::copy(w / "repo", w / "good", fs::copy_options::recursive);
  }
  fs::path directory() const { return w / "repo" / set; }
  void heal() {
    fs::remove_all(w / "repo");
    fs::copy(w / "good", w / "repo", fs::copy_options::recursive);
  }

  const workspace w;
  std::string set;
};

/// Verify and restore must both see it (exit status 3), name the file when there is one, and put nothing in place.
void check_seen(const damaged_repository& r, const std::string& file) {
  const outcome verified = run({"verify", (r.w / "repo").string(), "--json"});
  INFO(file << "\n" << verified.out << verified.err);
  CHECK(verified.exit == 3);
  const auto object = verified.parsed();
  REQUIRE(object.contains("sets"));
  REQUIRE(object["sets"].size() == 1);
  CHECK(object["sets"][0]["set"] == r.set);
  CHECK(object["sets"][0]["status"] == "damaged");
  const auto& damage = object["sets"][0]["damage"];
  REQUIRE_FALSE(damage.empty());
  bool named = file.empty();
  for (const auto& one : damage) {
    CHECK(one.size() == 3);
    CHECK_FALSE(one["what"].get<std::string>().empty());
    named = named || one["file"].get<std::string>().find(file) != std::string::npos;
  }
  CHECK(named);
  const outcome words = run({"verify", (r.w / "repo").string()});
  CHECK(words.exit == 3);
  CHECK_THAT(words.out, Contains("damaged") && Contains(file));

  const outcome restored = run({"restore", (r.w / "repo").string(), "--into", (r.w / "out").string(), "--json"});
  INFO(restored.out << restored.err);
  CHECK(restored.exit == 3);
  CHECK(restored.parsed().contains("error"));
  CHECK(names_in(r.w / "out").empty());
}

void flip(const fs::path& file, std::uint64_t bit) {
  std::string bytes = read_all(file);
  bytes.at(bit / 8) = static_cast<char>(bytes.at(bit / 8) ^ (1 << (bit % 8)));
  write_all(file, bytes);
}

}  // namespace

TEST_CASE("cli_damage: a file that is missing, cut or longer", "[cli_damage]") {
  damaged_repository r;
  for (const std::string& name : names_in(r.directory())) {
    INFO(name);
    const fs::path file = r.directory() / name;
    const std::string bytes = read_all(file);
    SECTION("missing: " + name) {
      fs::remove(file);
      check_seen(r, name);
    }
    SECTION("empty: " + name) {
      write_all(file, "");
      check_seen(r, name);
    }
    SECTION("cut by one byte: " + name) {
      write_all(file, bytes.substr(0, bytes.size() - 1));
      check_seen(r, name);
    }
    SECTION("cut in the middle: " + name) {
      write_all(file, bytes.substr(0, bytes.size() / 2));
      check_seen(r, name);
    }
    SECTION("longer: " + name) {
      write_all(file, bytes + '\0');
      check_seen(r, name);
    }
    SECTION("garbage: " + name) {
      write_all(file, std::string(bytes.size(), '\xa5'));
      check_seen(r, name);
    }
  }
}

TEST_CASE("cli_damage: pages swapped, repeated or from elsewhere", "[cli_damage]") {
  damaged_repository r;
  const fs::path file = r.directory() / "app.db";
  const std::string bytes = read_all(file);
  REQUIRE(bytes.size() > 8 * 4096);
  std::string changed = bytes;
  SECTION("swapped") {
    for (std::size_t i = 0; i < 4096; ++i) {
      std::swap(changed[3 * 4096 + i], changed[5 * 4096 + i]);
    }
  }
  SECTION("repeated") { changed.replace(5 * 4096, 4096, bytes, 4 * 4096, 4096); }
  SECTION("zeros") { changed.replace(5 * 4096, 4096, 4096, '\0'); }
  write_all(file, changed);
  check_seen(r, "app.db");
}

TEST_CASE("cli_damage: a directory, a link or a pipe in place of a file", "[cli_damage]") {
  damaged_repository r;
  const fs::path file = r.directory() / "app.db";
  SECTION("directory") {
    fs::remove(file);
    fs::create_directory(file);
  }
  if (has_links) {
    SECTION("link to the right bytes") {
      fs::rename(file, r.w / "elsewhere");
      fs::create_symlink(r.w / "elsewhere", file);
    }
  }
  check_seen(r, "app.db");
}

TEST_CASE("cli_damage: one bit, anywhere", "[cli_damage]") {
  damaged_repository r;
  unsigned tried = 0;
  for (const std::string& name : names_in(r.directory())) {
    const fs::path file = r.directory() / name;
    const std::uint64_t bits = fs::file_size(file) * 8;
    // The program's own start costs most: a few places in large files, denser in the small ones that describe them.
    const std::uint64_t places = 12;
    for (std::uint64_t i = 0; i < places; ++i) {
      const std::uint64_t bit = i + 1 == places ? bits - 1 : bits * i / places + (i % 8);
      flip(file, bit);
      const outcome got = run({"verify", (r.w / "repo").string(), "--json"});
      INFO(name << " bit " << bit << "\n" << got.out << got.err);
      CHECK(got.exit == 3);
      CHECK(got.parsed()["sets"][0]["status"] == "damaged");
      if (i % 4 == 0) {
        const outcome restored = run({"restore", (r.w / "repo").string(), "--into", (r.w / "out").string()});
        CHECK(restored.exit == 3);
        CHECK(names_in(r.w / "out").empty());
      }
      flip(file, bit);
      ++tried;
    }
  }
  CHECK(tried >= 36);
  CHECK(run({"verify", (r.w / "repo").string(), "--prove"}).exit == 0);
}

TEST_CASE("cli_damage: one damaged set does not hide the others, and all damage is told", "[cli_damage]") {
  damaged_repository r;
  const outcome second = run({"backup", "sqlite:" + (r.w / "app.db").string(), "--to", (r.w / "repo").string(), "--json"});
  REQUIRE(second.exit == 0);
  const std::string other = second.parsed()["set"];
  for (const std::string& name : names_in(r.directory())) {
    if (name != "manifest.json" && name != "files.jsonl") {
      flip(r.directory() / name, 8 * 5000);
    }
  }
  const outcome got = run({"verify", (r.w / "repo").string(), "--json"});
  INFO(got.out);
  CHECK(got.exit == 3);
  const auto sets = got.parsed()["sets"];
  REQUIRE(sets.size() == 2);
  CHECK(sets[0]["status"] == "damaged");
  CHECK(sets[0]["damage"].size() == names_in(r.directory()).size() - 2);
  CHECK(sets[1]["set"] == other);
  CHECK(sets[1]["status"] == "good");
  CHECK(run({"verify", (r.w / "repo").string(), "--set", "latest"}).exit == 0);
  CHECK(run({"verify", (r.w / "repo").string(), "--set", r.set}).exit == 3);
  CHECK(run({"restore", (r.w / "repo").string(), "--into", (r.w / "out").string()}).exit == 0);
}

TEST_CASE("cli_damage: a set that cannot be read is listed as damaged and never touched", "[cli_damage]") {
  damaged_repository r;
  SECTION("manifest gone") { fs::remove(r.directory() / "manifest.json"); }
  SECTION("manifest garbage") { write_all(r.directory() / "manifest.json", "garbage"); }
  SECTION("manifest huge") { write_all(r.directory() / "manifest.json", std::string(32 << 20, '{')); }
  const auto before = names_in(r.directory());
  const outcome listed = run({"list", (r.w / "repo").string(), "--json"});
  INFO(listed.out << listed.err);
  CHECK(listed.exit == 0);
  REQUIRE(listed.parsed()["sets"].size() == 1);
  CHECK(listed.parsed()["sets"][0]["set"] == r.set);
  CHECK(listed.parsed()["sets"][0]["status"] == "damaged");
  CHECK(listed.parsed()["sets"][0]["kind"].is_null());
  CHECK_THAT(run({"list", (r.w / "repo").string()}).out, Contains("damaged"));
  // The next backup leaves it alone.
  REQUIRE(run({"backup", "sqlite:" + (r.w / "app.db").string(), "--to", (r.w / "repo").string()}).exit == 0);
  CHECK(names_in(r.directory()) == before);
  CHECK(run({"verify", (r.w / "repo").string()}).exit == 3);
}

TEST_CASE("cli_damage: damage does not change what is already there", "[cli_damage]") {
  damaged_repository r;
  flip(r.directory() / "app.db", 8 * 9000);
  fs::create_directory(r.w / "out");
  write_all(r.w / "out" / "app.db", "old");
  const outcome got = run({"restore", (r.w / "repo").string(), "--into", (r.w / "out").string(), "--force", "--json"});
  INFO(got.err);
  CHECK(got.exit == 3);
  CHECK(got.parsed()["error"]["name"] == "set_damaged");
  CHECK_THAT(got.parsed()["error"]["file"].get<std::string>(), Contains("app.db"));
  CHECK(names_in(r.w / "out") == std::vector<std::string>{"app.db"});
  CHECK(read_all(r.w / "out" / "app.db") == "old");
}
