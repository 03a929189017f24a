#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

using namespace contrail;
using namespace contrail::test;

// Links, pipes, names with a backslash, rights, and locks that a process has in all its descriptors.

TEST_CASE("sqlite: two backups of one database at once, through a link and from another process", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 110);
  std::filesystem::create_symlink(file, place / "link.db");
  copy_by_hand(file, place / "set", [&](const std::string& step) {
    if (step == "page") {
      CHECK(code_of([&] { copy_by_hand(place / "link.db", place / "second"); }) == errc::backup_in_progress);
      CHECK(names_in(place / "second").empty());
    }
  });

  // A process that dies with the lock frees it.
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      copy_by_hand(file, place / "third", [&](const std::string& step) {
        if (step == "page") {
          (void)!::write(ready[1], "x", 1);
          ::pause();
        }
      });
    } catch (...) {
    }
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  std::string words;
  CHECK(code_of([&] { copy_by_hand(file, place / "fourth"); }, &words) == errc::backup_in_progress);
  CHECK(words.find(".contrail-lock") != std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(std::filesystem::exists(file.string() + ".contrail-lock"));
  recover_by_hand(copy_by_hand(file, place / "fifth"), place / "fifth");
  CHECK(content_of(place / "fifth" / "app.db").find("\n110|") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(file.string() + ".contrail-lock"));
}

TEST_CASE("sqlite: what cannot be backed up is refused in words: links, pipes, names", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  const auto refused = [&](const std::filesystem::path& what) { return code_of([&] { copy_by_hand(what, place / "set"); }); };
  std::filesystem::create_directory(place / "set");
  SECTION("a link to nowhere") {
    std::filesystem::create_symlink("nowhere", file);
    CHECK(refused(file) == errc::file_not_found);
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(refused(file) == errc::file_invalid_type);
  }
  SECTION("a name that cannot be restored everywhere") {
    make_wal_database(place / "a\\b.db", 10);
    CHECK(refused(place / "a\\b.db") == errc::unsafe_path);
    std::filesystem::rename(place / "a\\b.db", file);
  }
  CHECK(names_in(place.path()) == "app.db set");
  CHECK(names_in(place / "set").empty());
}

TEST_CASE("sqlite: an open connection of this very process is refused: its locks would be lost", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 10);
  sqlite3* own = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &own) == SQLITE_OK);
  REQUIRE(sqlite3_exec(own, "SELECT * FROM t", nullptr, nullptr, nullptr) == SQLITE_OK);
  std::string words;
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }, &words) == errc::database_locked);
  CHECK(words.find("this process") != std::string::npos);
  // Its locks are still there: another process cannot take the database for its own.
  CHECK(sqlite_run(file, ".timeout 50\nPRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA journal_mode=DELETE;").find("locked") != std::string::npos);
  sqlite3_close(own);
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == std::error_code());
}

TEST_CASE("sqlite: without rights nothing is read and nothing is left", "[sqlite_refusal]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs to start as root, to become somebody else");
    return;
  }
  const temp_directory place;
  const auto home = place / "home";
  std::filesystem::create_directory(home);
  const auto file = home / "app.db";
  make_wal_database(file, 50);
  REQUIRE(::chmod(place.path().c_str(), 0777) == 0);
  const auto as_nobody = [&] {
    return in_child([&] {
      if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) {
        return 98;
      }
      return code_of([&] { copy_by_hand(file, place / "set"); }) == errc::file_access_denied ? 0 : 1;
    });
  };
  SECTION("a directory in which nothing can be made") {
    REQUIRE(::chmod(home.c_str(), 0755) == 0);
    REQUIRE(::chmod(file.c_str(), 0644) == 0);
    CHECK(as_nobody() == 0);
  }
  SECTION("a file that cannot be read") {
    REQUIRE(::chmod(home.c_str(), 0777) == 0);
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    CHECK(as_nobody() == 0);
  }
  SECTION("a directory that cannot be entered") {
    REQUIRE(::chmod(home.c_str(), 0700) == 0);
    CHECK(as_nobody() == 0);
  }
  CHECK(names_in(home) == "app.db");
}

TEST_CASE("sqlite: a database that another process recovers is not ready yet", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 10);
  sqlite_shell other(file);
  other.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
  // As in the middle of a recovery: the index's header is not valid, and its writer's and recoverer's locks are held.
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int index = ::open((file.string() + "-shm").c_str(), O_RDWR);
    bool good = index >= 0;
    for (const int byte : {120, 122}) {
      struct ::flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      lock.l_start = byte;
      lock.l_len = 1;
      good = good && ::fcntl(index, F_SETLK, &lock) == 0;
    }
    const std::string zeros(96, '\0');
    good = good && ::pwrite(index, zeros.data(), zeros.size(), 0) == 96;
    (void)!::write(ready[1], good ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(byte == 'y');
  sqlite_options options;
  options.busy_timeout = std::chrono::milliseconds(50);
  CHECK(code_of([&] { copy_by_hand(file, place / "set", [](const std::string&) {}, options); }) == errc::backup_not_allowed_yet);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  CHECK_FALSE(code_of([&] { copy_by_hand(file, place / "set"); }));
}
