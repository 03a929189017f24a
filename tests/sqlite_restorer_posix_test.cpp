#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

using namespace contrail;
using namespace contrail::test;

// Files that are replaced while they are open, and rights.

TEST_CASE("sqlite restorer: who opened the old file while it was held cannot go on with it when it was replaced", "[sqlite_restorer]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  make_wal_database(place / "new.db", 5);
  const std::string before = read_file(file);
  hold(file);
  CHECK(read_file(file) == before);   // not replaced: not touched
  std::ifstream old;
  {
    const std::shared_ptr<void> held = hold(file);
    old.open(file, std::ios::binary);   // comes too late to be seen, and too early for the new file
    std::filesystem::rename(place / "new.db", file);
  }
  std::string front(16, '?');
  old.read(front.data(), 16);
  CHECK(front == std::string(16, '\0'));
  CHECK(sqlite_run(file, "SELECT count(*) FROM t;") == "5");

  // Another name leads to the old file: it is somebody's copy.
  make_wal_database(place / "third.db", 5);
  const std::string kept = read_file(file);
  {
    const std::shared_ptr<void> held = hold(file);
    std::filesystem::create_hard_link(file, place / "copy.db");
    std::filesystem::rename(place / "third.db", file);
  }
  CHECK(read_file(place / "copy.db") == kept);
}

TEST_CASE("sqlite restorer: a process that may only read a file holds it as well as it can", "[sqlite_restorer]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs to start as root, to become somebody else");
    return;
  }
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  REQUIRE(::chmod(place.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(file.c_str(), 0444) == 0);
  sqlite_shell other(file);
  const auto as_nobody = [&] {
    return in_child([&] {
      if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) {
        return 98;
      }
      return code_of([&] { hold(file); }) == errc::database_locked ? 1 : 0;
    });
  };
  CHECK(as_nobody() == 0);
  other.ask("SELECT count(*) FROM t;");
  CHECK(as_nobody() == 1);
}
