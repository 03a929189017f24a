#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>

#include <catch2/catch.hpp>

using namespace contrail;
using namespace contrail::test;

// What a backup of a SQLite database refuses, or waits for: others who have it, files that are none, rights that are missing.

TEST_CASE("sqlite: two backups of one database at once", "[sqlite_refusal]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 100);
  int tried = 0;
  copy_by_hand(file, place / "set", [&](const std::string& step) {
    if (step != "page") {
      return;
    }
    ++tried;
    std::string words;
    CHECK(code_of([&] { copy_by_hand(file, place / "second"); }, &words) == errc::backup_in_progress);
    CHECK(names_in(place / "second").empty());
    sqlite_shell writer(file);   // the first one's pin still holds
    CHECK(writer.ask(".timeout 50\n" + add_rows(10) + "PRAGMA wal_checkpoint(TRUNCATE);").substr(0, 2) == "1|");
  });
  CHECK(tried == 1);
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
  SECTION("a directory") {
    std::filesystem::create_directory(file);
    CHECK(refused(file) == errc::file_invalid_type);
    CHECK(words.find("a directory") != std::string::npos);
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
  CHECK((names_in(place.path()) == "set" || names_in(place.path()) == "app.db set"));
  CHECK(names_in(place / "set").empty());
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
