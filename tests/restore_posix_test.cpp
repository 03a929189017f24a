#include <contrail/restore.hpp>

#include "support/posix/repo_children.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace fs = std::filesystem;

namespace {

struct stat stat_of(const fs::path& p) {
  struct stat s {};
  REQUIRE(::lstat(p.c_str(), &s) == 0);
  return s;
}

}  // namespace

TEST_CASE("restore: rights are given back, the owner too where one may", "[restore]") {
  repo_restore_place p;
  std::vector<repo_file> content = repo_one_database();
  content.emplace_back("plain", "x");
  content.emplace_back("closed", "x");
  content.emplace_back("strange", "x");
  content[0].mode = 0640;
  content[0].owner = "1234:567";
  content[3].mode = 0200;
  content[4].mode = 04755;
  content[4].owner = "root:wheel";
  p.back_up(content);
  p.restore();
  CHECK((stat_of(p.into / "app.db").st_mode & 07777u) == 0640);
  CHECK((stat_of(p.into / "plain").st_mode & 07777u) == 0600);
  CHECK((stat_of(p.into / "closed").st_mode & 07777u) == 0200);
  CHECK((stat_of(p.into / "strange").st_mode & 07777u) == 0755);   // no set-user-id from a backup
  CHECK((stat_of(p.into).st_mode & 07777u) == 0700);
  if (::geteuid() == 0) {
    CHECK(stat_of(p.into / "app.db").st_uid == 1234);
    CHECK(stat_of(p.into / "app.db").st_gid == 567);
    CHECK(stat_of(p.into / "strange").st_uid == 0);
  } else {
    WARN("not root: that the owner is given back was not seen");
  }
}

TEST_CASE("restore: who is not root gets the files as his own", "[restore]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root, to become somebody else");
    return;
  }
  repo_restore_place p;
  std::vector<repo_file> content = repo_one_database();
  content[0].mode = 0640;
  content[0].owner = "1234:567";
  p.back_up(content);
  REQUIRE(::chmod(p.dir.path().c_str(), 0777) == 0);
  for (const auto& e : fs::recursive_directory_iterator(p.dir / "repo")) REQUIRE(::chown(e.path().c_str(), 65534, 65534) == 0);
  REQUIRE(::chown((p.dir / "repo").c_str(), 65534, 65534) == 0);
  repo_restorer other;
  const int status = restore_in_child(p, other, [] {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(77);
  });
  REQUIRE(status == 0);
  CHECK(stat_of(p.into / "app.db").st_uid == 65534);
  CHECK((stat_of(p.into / "app.db").st_mode & 07777u) == 0640);
}
