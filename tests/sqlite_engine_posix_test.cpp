#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include <catch2/catch.hpp>

using namespace contrail;
using namespace contrail::test;

// Symbolic links, and files that are replaced while SQLite has them open.

TEST_CASE("sqlite: a link leads to the database and its log, and gives the restored file its name", "[sqlite_engine]") {
  const temp_directory place;
  std::filesystem::create_directory(place / "data");
  std::filesystem::create_directory(place / "here");
  const auto file = place / "data" / "real.db";
  const auto link = place / "here" / "app.db";
  make_wal_database(file, 100);
  std::filesystem::create_symlink(file, link);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(30));
  const hand_copy copy = copy_by_hand(link, place / "set", [&](const std::string& step) {
    if (step == "begun") {
      CHECK(std::filesystem::exists(file.string() + ".contrail-lock"));
      CHECK(names_in(place / "here") == "app.db");
    }
  });
  recover_by_hand(copy, place / "set");
  CHECK(names_in(place / "set") == "app.db");
  CHECK(content_of(place / "set" / "app.db").find("\n130|") != std::string::npos);
}

TEST_CASE("sqlite: database, log or index removed or replaced in mid-copy: no set", "[sqlite_engine]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 500);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(50));
  for (const std::string which : {"", "-wal", "-shm"}) {
    for (const bool replaced : {false, true}) {
      for (const std::string when : {"begun", "page", "closed", "logged"}) {
        INFO("app.db" + which << (replaced ? " replaced at " : " removed at ") << when);
        const auto victim = file.string() + which;
        const auto aside = (place / "aside").string();
        std::string words;
        const auto code = code_of(
            [&] {
              copy_by_hand(file, place / "set", [&](const std::string& step) {
                if (step == when) {
                  std::filesystem::rename(victim, aside);
                  if (replaced) {
                    std::filesystem::copy_file(aside, victim);
                  }
                }
              });
            },
            &words);
        CHECK(code == errc::source_replaced);
        std::filesystem::rename(aside, victim);
      }
    }
  }
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == std::error_code());
}
