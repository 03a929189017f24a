#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch.hpp>

#include <sys/stat.h>

using namespace contrail;
using namespace contrail::test;

// What a backup of a SQLite database refuses, or waits for: others who have it, files that are none, rights that are missing.

TEST_CASE("sqlite: two backups of one database at once, also through a link and from another process", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 100);
  std::filesystem::create_symlink(file, place / "link.db");
  int tried = 0;
  copy_by_hand(file, place / "set", [&](const std::string& step) {
    if (step != "page") {
      return;
    }
    ++tried;
    std::string words;
    CHECK(code_of([&] { copy_by_hand(place / "link.db", place / "second"); }, &words) == errc::backup_in_progress);
    CHECK(names_in(place / "second").empty());
    sqlite_shell writer(file);   // the first one's pin still holds
    CHECK(writer.ask(".timeout 50\n" + add_rows(10) + "PRAGMA wal_checkpoint(TRUNCATE);").substr(0, 2) == "1|");
  });
  CHECK(tried == 1);
  CHECK_FALSE(std::filesystem::exists(file.string() + ".contrail-lock"));

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

TEST_CASE("sqlite: what cannot be backed up is refused in words, and nothing is left behind", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  std::string words;
  const auto refused = [&](const std::filesystem::path& what) {
    words.clear();
    return code_of([&] { copy_by_hand(what, place / "set"); }, &words);
  };
  std::filesystem::create_directory(place / "set");

  SECTION("no such file") { CHECK(refused(file) == errc::file_not_found); }
  SECTION("a link to nowhere") {
    std::filesystem::create_symlink("nowhere", file);
    CHECK(refused(file) == errc::file_not_found);
  }
  SECTION("a directory") {
    std::filesystem::create_directory(file);
    CHECK(refused(file) == errc::file_invalid_type);
    CHECK(words.find("a directory") != std::string::npos);
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK(refused(file) == errc::file_invalid_type);
  }
  SECTION("not a database") {
    write_file(file, "This is no database at all, only some text that is long enough to hold a header: 100 bytes are enough for that.");
    CHECK(refused(file) == errc::database_corrupted);
  }
  SECTION("too short") {
    write_file(file, "SQLite");
    CHECK(refused(file) == errc::database_corrupted);
  }
  SECTION("empty") {
    write_file(file, "");
    CHECK(refused(file) == errc::database_corrupted);
    CHECK(words.find("empty") != std::string::npos);
  }
  SECTION("rollback journal") {
    sqlite_run(file, "CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB);");
    CHECK(refused(file) == errc::logging_disabled);
    CHECK(words.find("PRAGMA journal_mode=WAL") != std::string::npos);
  }
  SECTION("a hot rollback journal is not touched") {
    make_wal_database(file, 10);
    write_file(file.string() + "-journal", std::string(512, '\xd9'));
    CHECK(refused(file) == errc::backup_not_allowed_yet);
    CHECK(read_file(file.string() + "-journal") == std::string(512, '\xd9'));
    std::filesystem::remove(file.string() + "-journal");
  }
  SECTION("hard links") {
    make_wal_database(file, 10);
    std::filesystem::create_hard_link(file, place / "set" / "second.db");
    CHECK(refused(file) == errc::invalid_path);
    std::filesystem::remove(place / "set" / "second.db");
  }
  SECTION("a name that cannot be restored everywhere") {
    make_wal_database(place / "a\\b.db", 10);
    CHECK(refused(place / "a\\b.db") == errc::unsafe_path);
    std::filesystem::rename(place / "a\\b.db", file);
  }
  CHECK((names_in(place.path()) == "set" || names_in(place.path()) == "app.db set"));
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

TEST_CASE("sqlite: incremental and differential are refused with words that help", "[sqlite_refusal]") {
  const temp_directory place;
  make_wal_database(place / "app.db", 10);
  asio::io_context context;
  sqlite_engine from(context.get_executor(), place / "app.db");
  CHECK_FALSE(from.traits().incremental);
  unsigned refused = 0;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    for (const kind what : {kind::incremental, kind::differential}) {
      begin_request request;
      request.what = what;
      try {
        std::unique_ptr<pin> none = co_await from.begin(std::move(request));
      } catch (const error& problem) {
        CHECK(problem.code() == errc::invalid_backup);
        CHECK(std::string(problem.what()).find("full") != std::string::npos);
        ++refused;
      }
    }
  });
  CHECK(refused == 2);
}

TEST_CASE("sqlite: a foreign exclusive lock is waited for without stopping the loop, and then refused", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 10);
  sqlite_shell other(file);
  REQUIRE(other.ask("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;") == "exclusive");

  asio::io_context context;
  sqlite_options options;
  options.busy_timeout = std::chrono::milliseconds(500);
  sqlite_engine from(context.get_executor(), file, options);
  unsigned ticks = 0;
  bool ended = false;
  const auto tick = [&]() -> asio::awaitable<void> {
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex);
    while (!ended) {
      timer.expires_after(std::chrono::milliseconds(1));
      co_await timer.async_wait(asio::use_awaitable);
      ++ticks;
    }
  };
  asio::co_spawn(context, tick(), [](const std::exception_ptr&) {});
  std::error_code code;
  std::string words;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    std::shared_ptr<void> claim = co_await from.claim();
    try {
      begin_request request;
      std::unique_ptr<pin> none = co_await from.begin(std::move(request));
    } catch (const error& problem) {
      code = problem.code();
      words = problem.what();
    }
    ended = true;
  });
  CHECK(code == errc::database_locked);
  CHECK(words.find("EXCLUSIVE") != std::string::npos);
  // 500 ms of waiting; a loop that is held up has a handful.
  CHECK(ticks > 100);
  other.quit();
  CHECK(names_in(place.path()) == "app.db");
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == std::error_code());
}

TEST_CASE("sqlite: a begin that waits for a lock ends at once when it is cancelled, and leaves nothing", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 10);
  sqlite_shell other(file);
  other.ask("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;");
  asio::io_context context;
  sqlite_options options;
  options.busy_timeout = std::chrono::hours(1);   // the test ends only if the cancellation gets through
  sqlite_engine from(context.get_executor(), file, options);
  asio::cancellation_signal cancel;
  std::exception_ptr failure;
  const auto waiting = [&]() -> asio::awaitable<void> {
    std::shared_ptr<void> claim = co_await from.claim();
    begin_request request;
    std::unique_ptr<pin> none = co_await from.begin(std::move(request));
  };
  auto done = [&](std::exception_ptr e) { failure = std::move(e); };
  asio::co_spawn(context, waiting(), asio::bind_cancellation_slot(cancel.slot(), done));
  asio::steady_timer timer(context, std::chrono::milliseconds(100));
  timer.async_wait([&](std::error_code) { cancel.emit(asio::cancellation_type::terminal); });
  context.run();
  REQUIRE(failure);
  CHECK(code_of([&] { std::rethrow_exception(failure); }) == asio::error::operation_aborted);
  other.quit();
  CHECK(names_in(place.path()) == "app.db");
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
