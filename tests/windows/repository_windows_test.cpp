#include <contrail/error.hpp>
#include "support/verify_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace fs = std::filesystem;

TEST_CASE("repository_windows: foreign names that are no Unicode end neither verify nor list", "[windows]") {
  verify_place p;
  const std::string set = p.back_up(verify_small_set());
  const std::wstring lone = {L'a', static_cast<wchar_t>(0xd800), L'b'};
  for (const fs::path& path : {p.dir / "repo" / set / lone, p.dir / "repo" / lone}) {
    if (!std::ofstream(path, std::ios::binary).put('x')) {
      WARN("skipped: the system under this one has no such names");
      return;
    }
  }
  const auto damage = p.damage();
  REQUIRE(damage.size() == 1);
  CHECK(damage[0].file == "a\xef\xbf\xbd" "b");
  CHECK(p.back_up(verify_small_set()) != set);
}

// On a system of bytes a file can have such a name; copied over, the set cannot have that file here.
TEST_CASE("repository_windows: a name in a set that is no UTF-8 is a missing file", "[windows]") {
  verify_place p;
  const std::string set = p.back_up(verify_small_set());
  const fs::path there = p.dir / "repo" / set;
  std::string lines = read_file(there / "files.jsonl");
  const std::string name = "\"empty\"";
  REQUIRE(lines.find(name) != std::string::npos);
  lines.replace(lines.find(name), name.size(), R"({"base64": "/2RhdGE="})");   // 0xff "data"
  fs::remove(there / "empty");
  repo_set_lines(there, lines);
  const auto damage = p.damage();
  REQUIRE(damage.size() == 1);
  CHECK(damage[0].file == "\xff" "data");
  CHECK(damage[0].what.find("cannot store") != std::string::npos);
}
