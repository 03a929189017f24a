#include <contrail/sinks/directory.hpp>

#include "support/repo_place.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <filesystem>

namespace fs = std::filesystem;

namespace {

unsigned mode_of(const fs::path& p) {
  struct stat s {};
  REQUIRE(::lstat(p.c_str(), &s) == 0);
  return s.st_mode & 07777u;
}

}  // namespace

TEST_CASE("repository: rights, and nothing but the set", "[repository]") {
  repo_place p;
  std::vector<repo_file> content = repo_small_set();
  content.emplace_back("sub/x", "x");
  const contrail::manifest m = p.back_up(content);
  const fs::path top = p.dir / "repo";
  CHECK(repo_names(top) == std::vector<std::string>{m.set + "/", m.set + "/app.db", m.set + "/app.db.wal", m.set + "/files.jsonl",
                                                    m.set + "/manifest.json", m.set + "/sub/", m.set + "/sub/x"});
  CHECK(mode_of(top) == 0700);
  for (const auto& e : fs::recursive_directory_iterator(top)) {
    CHECK(mode_of(e.path()) == (e.is_directory() ? 0700u : 0600u));
  }
}
