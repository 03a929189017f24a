#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"
#include "support/posix/small_file_system.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

// Small file systems, limits, memory, other users, and what is replaced or removed while it is open.

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

}  // namespace

TEST_CASE("cli_backup: files have a largest size", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 200);
  launch how;
  how.largest_file = 65536;
  const auto error = refused(w / "app.db", w / "repo", how);
  CHECK(error["name"] == "EFBIG");
  CHECK(names_in(w / "repo").empty());
  CHECK(check_database(w / "app.db") == "ok 200");
}

TEST_CASE("cli_backup: a destination that fills up", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 4000);
  const small_file_system small(w / "small", 2 << 20);
  if (!small.mounted()) {
    WARN("skipped: a small file system cannot be mounted here");
    return;
  }
  const auto error = refused(w / "app.db", w / "small" / "repo");
  CHECK(error["name"] == "ENOSPC");
  CHECK(names_in(w / "small" / "repo").empty());
  // With room the same command works, and so does everything after it.
  make_database(w / "few.db", 100);
  CHECK(run(backup_of(w / "few.db", w / "small" / "repo")).exit == 0);
  CHECK(run({"verify", (w / "small" / "repo").string()}).exit == 0);
}

TEST_CASE("cli_backup: places without permission", "[cli_backup]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root, to become somebody else");
    return;
  }
  const workspace w;
  fs::permissions(w.path(), fs::perms::all);
  launch nobody;
  nobody.unprivileged = true;
  if (run({"--version"}, nobody).exit != 0) {
    WARN("skipped: the program lies where an ordinary user cannot reach it");
    return;
  }
  SECTION("the database may not be read") {
    make_database(w / "app.db", 10);
    fs::permissions(w / "app.db", fs::perms::owner_read);
    refused(w / "app.db", w / "repo", nobody);
    CHECK_FALSE(fs::exists(w / "repo"));
  }
  SECTION("the database's directory may not be written") {
    fs::create_directory(w / "srv");
    make_database(w / "srv" / "app.db", 10);
    fs::permissions(w / "srv" / "app.db", fs::perms::all);
    fs::permissions(w / "srv", fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    refused(w / "srv" / "app.db", w / "repo", nobody);
    CHECK_FALSE(fs::exists(w / "repo"));
  }
  SECTION("the repository's parent may not be written") {
    make_database(w / "app.db", 10);
    fs::permissions(w / "app.db", fs::perms::all);
    fs::create_directory(w / "backup");
    const auto error = refused(w / "app.db", w / "backup" / "repo", nobody);
    CHECK(error["name"] == "EACCES");
    CHECK(names_in(w / "backup").empty());
  }
  SECTION("the repository is somebody else's") {
    make_database(w / "app.db", 10);
    fs::permissions(w / "app.db", fs::perms::all);
    REQUIRE(run(backup_of(w / "app.db", w / "repo")).exit == 0);
    refused(w / "app.db", w / "repo", nobody);
    CHECK(run({"list", (w / "repo").string()}, nobody).exit == 1);
    CHECK(run({"verify", (w / "repo").string()}, nobody).exit == 1);
    CHECK(run({"restore", (w / "repo").string(), "--into", (w / "out").string()}, nobody).exit == 1);
    CHECK_FALSE(fs::exists(w / "out"));
    CHECK(run({"verify", (w / "repo").string()}).exit == 0);
  }
  SECTION("an ordinary user backs up and restores what is his") {
    fs::create_directory(w / "home");
    REQUIRE(::chown((w / "home").c_str(), 65534, 65534) == 0);
    make_database(w / "home" / "app.db", 10);
    REQUIRE(::chown((w / "home" / "app.db").c_str(), 65534, 65534) == 0);
    const outcome made = run(backup_of(w / "home" / "app.db", w / "home" / "repo"), nobody);
    INFO(made.err);
    CHECK(made.exit == 0);
    CHECK(run({"restore", (w / "home" / "repo").string(), "--into", (w / "home" / "out").string()}, nobody).exit == 0);
    CHECK(check_database(w / "home" / "out" / "app.db") == "ok 10");
  }
}

TEST_CASE("cli_backup: a destination that disappears", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 2000);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--rate-limit", "2M", "--json"});
  program slow(CONTRAIL_PROGRAM, arguments);
  while (slow.running() && names_in(w / "repo").empty()) {
    ::usleep(1000);
  }
  REQUIRE(slow.running());
  fs::remove_all(w / "repo");
  const outcome got = slow.wait();
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK(got.parsed().contains("error"));
  CHECK(names_in(w.path()) == std::vector<std::string>{"app.db"});
  CHECK(check_database(w / "app.db") == "ok 2000");
}

TEST_CASE("cli_backup: a database that is replaced while it is copied", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 2000);
  make_database(w / "other.db", 2000);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--rate-limit", "2M", "--json"});
  program slow(CONTRAIL_PROGRAM, arguments);
  while (slow.running() && names_in(w / "repo").empty()) {
    ::usleep(1000);
  }
  REQUIRE(slow.running());
  SECTION("by another one") { fs::rename(w / "other.db", w / "app.db"); }
  SECTION("by nothing") { fs::remove(w / "app.db"); }
  const outcome got = slow.wait();
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK(got.parsed()["error"]["name"] == "source_replaced");
  CHECK(names_in(w / "repo").empty());
}

TEST_CASE("cli_backup: bounds on memory are kept", "[cli_backup]") {
  const workspace w;
  make_database(w / "app.db", 45000);
  std::vector<std::string> arguments = backup_of(w / "app.db", w / "repo");
  arguments.insert(arguments.end(), {"--memory", "4M"});
  if (sanitized) {
    WARN("skipped: a sanitizer's own memory hides the program's");
    return;
  }
  const std::uint64_t bound = std::uint64_t{(4 + 32) << 20};
  const outcome made = run(arguments);
  CHECK(made.exit == 0);
  CHECK(made.peak_bytes < bound);
  const outcome proven = run({"verify", (w / "repo").string(), "--prove", "--memory", "4M"});
  CHECK(proven.exit == 0);
  CHECK(proven.peak_bytes < bound);
  const outcome restored = run({"restore", (w / "repo").string(), "--into", (w / "out").string(), "--memory", "4M"});
  CHECK(restored.exit == 0);
  CHECK(restored.peak_bytes < bound);
  INFO("backup " << made.peak_bytes << ", proof " << proven.peak_bytes << ", restore " << restored.peak_bytes);
  CHECK(made.peak_bytes > 1000000);
}
