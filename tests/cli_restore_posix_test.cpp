#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"
#include "support/posix/small_file_system.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace contrail::test;
namespace fs = std::filesystem;

// Small file systems, limits, other users, owners and rights.

TEST_CASE("cli_restore: targets that cannot take it", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 2000);
  back_up(w / "app.db", w / "repo");
  SECTION("it fills up") {
    const small_file_system small(w / "out", 1 << 20);
    if (!small.mounted()) {
      WARN("skipped: a small file system cannot be mounted here");
      return;
    }
    const outcome got = restore(w / "repo", w / "out", {"--json"});
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["name"] == "ENOSPC");
    CHECK(names_in(w / "out").empty());
  }
  SECTION("files have a largest size") {
    launch how;
    how.largest_file = 100000;
    const outcome got = restore(w / "repo", w / "out", {"--json"}, how);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["name"] == "EFBIG");
    CHECK(names_in(w / "out").empty());
  }
  SECTION("no permission") {
    launch nobody;
    nobody.unprivileged = true;
    fs::permissions(w.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    if (::geteuid() != 0 || run({"--version"}, nobody).exit != 0) {
      WARN("skipped: needs root, to become somebody else who can run the program");
      return;
    }
    for (const auto& entry : fs::recursive_directory_iterator(w / "repo")) {
      fs::permissions(entry.path(), fs::perms::all);
    }
    fs::permissions(w / "repo", fs::perms::all);
    const outcome got = restore(w / "repo", w / "out", {"--json"}, nobody);
    INFO(got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["name"] == "EACCES");
    CHECK_FALSE(fs::exists(w / "out"));
  }
  CHECK(run({"verify", (w / "repo").string()}).exit == 0);
}

TEST_CASE("cli_restore: rights of the original come back, the set's own are narrow", "[cli_restore]") {
  const workspace w;
  make_database(w / "app.db", 10);
  fs::permissions(w / "app.db", fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read);
  const bool root = ::geteuid() == 0;
  if (root) {
    REQUIRE(::chown((w / "app.db").c_str(), 1234, 4321) == 0);
  }
  const std::string set = back_up(w / "app.db", w / "repo");
  struct stat facts {};
  REQUIRE(::stat((w / "repo").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 07777) == 0700);
  for (const auto& entry : fs::recursive_directory_iterator(w / "repo")) {
    INFO(entry.path());
    REQUIRE(::stat(entry.path().c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777) == (entry.is_directory() ? 0700u : 0600u));
  }
  REQUIRE(restore(w / "repo", w / "out").exit == 0);
  REQUIRE(::stat((w / "out" / "app.db").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 07777) == 0644);
  if (root) {
    CHECK(facts.st_uid == 1234);
    CHECK(facts.st_gid == 4321);
  }
}
