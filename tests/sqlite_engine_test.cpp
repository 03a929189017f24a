#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include "engines/sqlite/wal_format.hpp"

#include <asio/steady_timer.hpp>

#include <catch2/catch.hpp>

using namespace contrail;
using namespace contrail::test;

namespace {

/// Copies, recovers, proves; the result's content.
std::string round_trip(const std::filesystem::path& database, const std::filesystem::path& into, const step_hook& hook = [](const std::string&) {}) {
  const hand_copy copy = copy_by_hand(database, into, hook);
  const auto kept = recover_by_hand(copy, into);
  REQUIRE(kept.size() == 1);
  REQUIRE(names_in(into) == kept.front());
  const auto header = sqlite::parse_database_header(read_file(into / kept.front()));
  REQUIRE(header);
  CHECK(std::filesystem::file_size(into / kept.front()) == std::uint64_t{header->pages} * header->page_bytes);
  return content_of(into / kept.front());
}

}  // namespace

TEST_CASE("sqlite: a copy equals the database, at every page size, and nothing stays beside the source", "[sqlite_engine]") {
  for (const int page_bytes : {512, 1024, 4096, 65536}) {
    const temp_directory place;
    const auto file = place / "app.db";
    make_wal_database(file, 2000, page_bytes);
    const std::string before = content_of(file);
    CHECK(round_trip(file, place / "set") == before);
    CHECK(names_in(place.path()) == "app.db set");
    // With a log that is in use.
    sqlite_shell shell(file);
    shell.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(300));
    const hand_copy copy = copy_by_hand(file, place / "second");
    CHECK(copy.files.size() == 2);
    CHECK(copy.files.at(1).name == "app.db.wal");
    CHECK(copy.files.at(1).valid > 0);
    recover_by_hand(copy, place / "second");
    shell.quit();
    CHECK(content_of(place / "second" / "app.db") == content_of(file));
    CHECK(names_in(place / "second") == "app.db");
  }
}

TEST_CASE("sqlite: the restored file is in WAL mode and needs no recovery", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 50);
  sqlite_shell shell(file);
  shell.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(50));
  recover_by_hand(copy_by_hand(file, place / "set"), place / "set");
  CHECK(sqlite_run(place / "set" / "app.db", "PRAGMA journal_mode; SELECT count(*) FROM t;") == "wal\n100");
}

TEST_CASE("sqlite: commits during the copy, uncommitted tails, and a log that is started anew under the pin", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 2000);
  sqlite_shell writer(file);
  sqlite_shell other(file);

  SECTION("growing: what was committed before the log was closed is in") {
    const std::string content = round_trip(file, place / "set", [&](const std::string& step) {
      if (step == "page" || step == "copied") {
        CHECK(writer.ask(add_rows(500)).empty());
      }
      if (step == "closed" || step == "log") {
        CHECK(writer.ask(add_rows(500)).empty());   // not in
      }
    });
    CHECK(content.find("\n3000|") != std::string::npos);
    CHECK(writer.ask("SELECT count(*) FROM t;") == "4000");
  }
  SECTION("a transaction that is open when the log is copied is not in") {
    writer.ask("PRAGMA cache_size=5; PRAGMA cache_spill=1; BEGIN; " + add_rows(1000));   // spilled into the log
    const hand_copy copy = copy_by_hand(file, place / "set");
    CHECK(copy.files.at(1).valid < copy.files.at(1).bytes);
    recover_by_hand(copy, place / "set");
    CHECK(sqlite_run(place / "set" / "app.db", "SELECT count(*) FROM t;") == "2000");
    writer.ask("ROLLBACK;");
  }
  SECTION("a checkpoint by others during the copy") {
    writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(300));
    const std::string content = round_trip(file, place / "set", [&](const std::string& step) {
      if (step == "page" || step == "closed" || step == "log") {
        writer.ask(add_rows(100));
        other.ask("PRAGMA wal_checkpoint(PASSIVE);");
      }
    });
    CHECK(content.find("\n2400|") != std::string::npos);
  }
  SECTION("started anew between begin and the log") {
    writer.ask(add_rows(10) + "PRAGMA wal_checkpoint(FULL);");
    unsigned restarts = 0;
    const auto salts = [&] { return read_file(file.string() + "-wal").substr(16, 8); };
    const std::string before = salts();
    const std::string content = round_trip(file, place / "set", [&](const std::string& step) {
      if (step == "page") {
        writer.ask(add_rows(100));
        restarts += salts() != before ? 1U : 0U;
        CHECK(other.ask("PRAGMA wal_checkpoint(PASSIVE);").substr(0, 2) == "0|");
      }
    });
    CHECK(restarts == 1);   // else the case was not met
    CHECK(content.find("\n2110|") != std::string::npos);
  }
  SECTION("started anew while the log is copied: copied again") {
    writer.ask(add_rows(800) + "PRAGMA wal_checkpoint(FULL);");
    bool once = false;
    const hand_copy copy = copy_by_hand(file, place / "set", [&](const std::string& step) {
      if (step == "log" && !once) {
        once = true;
        writer.ask(add_rows(10));
      }
    });
    CHECK(copy.restarts == 1);
    recover_by_hand(copy, place / "set");
    const std::string rows = sqlite_run(place / "set" / "app.db", "SELECT count(*) FROM t;");
    CHECK((rows == "2800" || rows == "2810"));
  }
  SECTION("truncated to nothing while it is copied") {
    writer.ask(add_rows(800) + "PRAGMA wal_checkpoint(FULL);");
    bool once = false;
    const hand_copy copy = copy_by_hand(file, place / "set", [&](const std::string& step) {
      if (step == "log" && !once) {
        once = true;
        CHECK(other.ask("PRAGMA wal_checkpoint(TRUNCATE);") == "0|0|0");
      }
    });
    CHECK(copy.restarts == 1);
    recover_by_hand(copy, place / "set");
    CHECK(sqlite_run(place / "set" / "app.db", "SELECT count(*) FROM t;") == "2800");
  }
  SECTION("VACUUM before begin leaves the shrinking to a checkpoint during the copy") {
    writer.ask("PRAGMA wal_autocheckpoint=0; DELETE FROM t WHERE id > 100; VACUUM;");
    const auto before = std::filesystem::file_size(file);
    const std::string content = round_trip(file, place / "set", [&](const std::string& step) {
      if (step == "begun") {
        other.ask("PRAGMA wal_checkpoint(PASSIVE);");
        CHECK(std::filesystem::file_size(file) < before);
      }
    });
    CHECK(content.find("\n100|") != std::string::npos);
  }
  SECTION("VACUUM, and no checkpoint at all: the log's last commit gives the length") {
    writer.ask("PRAGMA wal_autocheckpoint=0; DELETE FROM t WHERE id > 100; VACUUM;");
    CHECK(round_trip(file, place / "set").find("\n100|") != std::string::npos);
    CHECK(std::filesystem::file_size(place / "set" / "app.db") < std::filesystem::file_size(file));
  }
  SECTION("VACUUM, and the checkpoint comes in the middle of the file") {
    writer.ask("PRAGMA wal_autocheckpoint=0; DELETE FROM t WHERE id > 100; VACUUM;");
    const std::string content = round_trip(file, place / "set", [&](const std::string& step) {
      if (step == "page") {
        other.ask("PRAGMA wal_checkpoint(PASSIVE);");
      }
    });
    CHECK(content.find("\n100|") != std::string::npos);
  }
}

TEST_CASE("sqlite: the pin holds the log back and says how much; afterwards it is used again", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 500);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=10; " + add_rows(50));
  const hand_copy copy = copy_by_hand(file, place / "set", [&](const std::string& step) {
    if (step == "page") {
      for (int i = 0; i < 30; ++i) {
        writer.ask(add_rows(50));
      }
    }
  });
  CHECK(copy.largest_cost > 500000);
  // With the pin gone a checkpoint gets through.
  CHECK(writer.ask("PRAGMA wal_checkpoint(TRUNCATE);") == "0|0|0");
}

TEST_CASE("sqlite: an application's log that a crash left behind is read, and left as it is", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 200);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(100));
  writer.kill();
  const std::string log = read_file(file.string() + "-wal");
  const std::string database = read_file(file);
  const std::string content = round_trip(file, place / "set");
  CHECK(content.find("\n300|") != std::string::npos);
  CHECK(read_file(file.string() + "-wal") == log);
  CHECK(read_file(file) == database);
}

TEST_CASE("sqlite: when the application leaves during the backup, its log is merged at the end as always", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 200);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(100));
  copy_by_hand(file, place / "set", [&](const std::string& step) {
    if (step == "copied") {
      writer.quit();
    }
  });
  CHECK(names_in(place.path()) == "app.db set");
}

TEST_CASE("sqlite: a log that is damaged before its last commit is an error, never a shorter copy", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 500);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(50) + add_rows(50) + add_rows(50));
  std::string log = read_file(file.string() + "-wal");
  const auto patch = [&](std::size_t at) {
    std::fstream out(file.string() + "-wal", std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at));
    out.put(static_cast<char>(log[at] ^ 1));
  };
  const auto restore_byte = [&](std::size_t at) {
    std::fstream out(file.string() + "-wal", std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at));
    out.put(log[at]);
  };
  const std::size_t frame = 24 + 4096;
  const std::size_t frames = (log.size() - 32) / frame;
  REQUIRE(frames > 10);
  for (const std::size_t at : {std::size_t{32} + 3, 32 + frame * 5 + 200, 32 + frame * (frames - 1) + 100}) {
    patch(at);
    std::string words;
    CHECK(code_of([&] { copy_by_hand(file, place / "set"); }, &words) == errc::log_file_corrupt);
    CHECK(words.find("frame " + std::to_string((at - 32) / frame + 1)) != std::string::npos);
    restore_byte(at);
  }
  // The header: its salts, then what its checksum alone covers.
  for (const std::size_t at : {std::size_t{18}, std::size_t{13}}) {
    patch(at);
    CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == errc::log_file_corrupt);
    restore_byte(at);
  }
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == std::error_code());
}

TEST_CASE("sqlite: a database file that was cut is found before the set is committed", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 500);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 4096);
  std::string words;
  const auto code = code_of([&] { copy_by_hand(file, place / "set"); }, &words);
  CHECK(code == errc::database_corrupted);
  INFO(words);
  CHECK(names_in(place.path()) == "app.db set");
}

TEST_CASE("sqlite: a session's pin that is dropped without an end frees everything", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 200);
  sqlite_shell writer(file);
  writer.ask(add_rows(10));
  {
    asio::io_context context;
    sqlite_engine from(context.get_executor(), file);
    std::unique_ptr<pin> pinned;
    std::shared_ptr<void> claim;
    bool begun = false;
    const auto begin = [&](bool stay) -> asio::awaitable<void> {
      std::shared_ptr<void> own_claim = co_await from.claim();
      begin_request request;
      std::unique_ptr<pin> own = co_await from.begin(std::move(request));
      begun = true;
      if (stay) {
        asio::steady_timer timer(context, std::chrono::hours(1));
        co_await timer.async_wait(asio::use_awaitable);
      }
      pinned = std::move(own);
      claim = std::move(own_claim);
    };
    const auto still_held = [&] {
      return writer.ask(".timeout 50\n" + add_rows(10) + "PRAGMA wal_checkpoint(TRUNCATE);\n.timeout 10000").substr(0, 2) == "1|";
    };
    SECTION("while the context lives") {
      run_on(context, 1, [&] { return begin(false); });
      CHECK(still_held());
      pinned.reset();
      claim.reset();
      context.run();
    }
    SECTION("after the last turn of the context") {
      run_on(context, 1, [&] { return begin(false); });
      CHECK(still_held());
      pinned.reset();
      claim.reset();
    }
    SECTION("with the context, in a coroutine that waits") {
      asio::co_spawn(context, begin(true), [](const std::exception_ptr&) {});
      while (!begun) {
        context.run_one();
      }
      CHECK(still_held());
    }
  }
  CHECK(writer.ask("PRAGMA wal_checkpoint(TRUNCATE);") == "0|0|0");
  CHECK_FALSE(std::filesystem::exists(file.string() + ".contrail-lock"));
  CHECK(round_trip(file, place / "set").find("\n220|") != std::string::npos);
}

TEST_CASE("sqlite: a log that grew under the backup is merged at its end, not within the next commit", "[sqlite_engine]") {
  for (const bool large : {false, true}) {
    const temp_directory place;
    const auto file = place / "app.db";
    make_wal_database(file, 50);
    sqlite_shell shell(file);
    shell.ask("SELECT count(*) FROM t;");
    const std::string before = read_file(file);
    const auto grow = [&](const std::string& step) {
      if (step == "copied") {
        shell.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(large ? 20'000 : 100));
      }
    };
    copy_by_hand(file, place / "set", grow);
    // The log is not made anew, and not cut: that would have to wait for others.
    CHECK(std::filesystem::file_size(place / "app.db-wal") > (large ? std::uintmax_t{4} << 20 : 0));
    CHECK((read_file(file) != before) == large);
    CHECK(shell.ask("SELECT count(*) FROM t;") == (large ? "20050" : "150"));
    shell.quit();
    CHECK(sqlite_run(file, "PRAGMA integrity_check;") == "ok");
  }
}
