#include "support/run.hpp"
#include "support/sqlite_in_process.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/error.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <catch2/catch.hpp>

using namespace contrail;
using namespace contrail::test;

TEST_CASE("sqlite in process: refusals", "[sqlite_in_process]") {
  const temp_directory place;
  const auto code_of = [](const std::function<void()>& what) {
    try {
      what();
    } catch (const error& problem) {
      return problem.code();
    }
    return std::error_code();
  };
  asio::io_context context;
  const connection memory(":memory:");
  CHECK(code_of([&] { sqlite_engine from(context.get_executor(), memory.db, sqlite_of_this_program()); }) == errc::invalid_parameter);
  CHECK(code_of([&] { sqlite_engine from(context.get_executor(), nullptr, sqlite_of_this_program()); }) == errc::invalid_parameter);
  sqlite_functions single = sqlite_of_this_program();
  single.threadsafe = []() { return 0; };
  sqlite_functions configured = sqlite_of_this_program();   // what SQLITE_CONFIG_SINGLETHREAD leaves of them
  configured.mutex_alloc = [](int) { return reinterpret_cast<sqlite3_mutex*>(8); };
  configured.mutex_free = [](sqlite3_mutex*) {};
  make_application_database(place / "app.db");
  const connection app(place / "app.db");
  app.run("SELECT * FROM t LIMIT 1");
  CHECK(code_of([&] { sqlite_engine from(context.get_executor(), app.db, single); }) == errc::invalid_parameter);
  CHECK(code_of([&] { sqlite_engine from(context.get_executor(), app.db, configured); }) == errc::invalid_parameter);
  CHECK(code_of([&] { back_up(app, place / "vault", kinds().front(), [] {}); }) == std::error_code());

  const connection fresh(place / "empty.db");
  write_file(place / "empty.db", "");
  CHECK(code_of([&] { back_up(fresh, place / "vault", kinds().front(), [] {}); }) == errc::database_corrupted);

  const connection old(place / "old.db");
  old.run("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
  CHECK(code_of([&] { back_up(old, place / "vault", kinds().front(), [] {}); }) == errc::logging_disabled);
}

TEST_CASE("sqlite in process: when the application has closed its database, it is one that can be named by its path", "[sqlite_in_process]") {
  for (const io::backend_kind kind : kinds()) {
    INFO(io::to_string(kind));
    const temp_directory place;
    const auto file = place / "app.db";
    make_application_database(file);
    {
      const connection app(file);
      app.run("SELECT * FROM t LIMIT 1");
      back_up(app, place / "vault", kind, [] {});
    }
    asio::io_context context;
    const io::file_system files(context.get_executor(), on(kind));
    sqlite_engine from(files, file);
    directory_repository vault(files, place / "vault");
    sqlite_restorer with(files);
    restore_options over;
    over.overwrite = true;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      (void)co_await backup(from, vault);
      (void)co_await restore(vault, with, place.path(), over);
    });
    CHECK(rows_of(file) == std::to_string(rows_before));
  }
}

TEST_CASE("sqlite in process: the application may close its connection while the backup runs", "[sqlite_in_process]") {
  for (const io::backend_kind kind : kinds()) {
    const temp_directory place;
    make_application_database(place / "app.db");
    auto app = std::make_unique<connection>(place / "app.db");
    app->run(add_rows(5));
    const connection* const first = app.get();
    back_up(*first, place / "vault", kind, [&] { app.reset(); });
    CHECK(rows_of(place / "app.db") == std::to_string(rows_before + 5));
  }
}
