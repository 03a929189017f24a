// SQLite's engine where it meets what only Windows has: long names, names beyond the code page, sharing.
#include "support/sqlite_copy.hpp"
#include "support/sqlite_in_process.hpp"
#include "support/sqlite_processes.hpp"

#include <contrail/io/file_names.hpp>

#include <catch2/catch.hpp>

#include <windows.h>

#include <atomic>
#include <thread>

using namespace contrail;
using namespace contrail::test;

TEST_CASE("sqlite on Windows: a database that this process has open can be named by its path, and keeps its locks", "[sqlite_windows]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 50);
  sqlite3* own = nullptr;
  REQUIRE(sqlite3_open(file.string().c_str(), &own) == SQLITE_OK);
  REQUIRE(sqlite3_exec(own, ("PRAGMA wal_autocheckpoint=0; " + add_rows(5)).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  recover_by_hand(copy_by_hand(file, place / "set"), place / "set");
  CHECK(content_of(place / "set" / "app.db").find("\n55|") != std::string::npos);
  // Another process cannot take the database for its own, nor does it bring the log back when it leaves.
  CHECK(sqlite_run(file, ".timeout 50\nPRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; PRAGMA journal_mode=DELETE;").find("locked") != std::string::npos);
  CHECK(std::filesystem::file_size(file.string() + "-wal") != 0);
  REQUIRE(sqlite3_exec(own, add_rows(5).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(own);
  CHECK(content_of(file).find("\n60|") != std::string::npos);
}

TEST_CASE("sqlite on Windows: long names, and names beyond the code page", "[sqlite_windows]") {
  const temp_directory place;
  make_wal_database(place / "app.db", 20);
  std::wstring deep = L"\\\\?\\" + place.path().native();
  std::vector<std::wstring> made;
  const auto enter = [&](const std::wstring& name) {
    deep += L"\\" + name;
    REQUIRE(::CreateDirectoryW(deep.c_str(), nullptr) != 0);
    made.push_back(deep);
  };
  SECTION("names") { enter(io::to_path("\xd0\x91\xd0\xb0\xd0\xb7\xd0\xb0 \xe6\x95\xb0\xe6\x8d\xae %20 #").native()); }
  SECTION("length") {
    for (const wchar_t c : {L'a', L'b', L'c', L'd', L'e', L'f'}) enter(std::wstring(50, c));
    REQUIRE(deep.size() > 300);
  }
  const std::filesystem::path file = deep + L"\\" + io::to_path("\xd0\xb1.db").native();
  REQUIRE(::CopyFileW((place / "app.db").c_str(), file.c_str(), TRUE) != 0);
  const hand_copy copy = copy_by_hand(file, place / "set");
  const std::vector<std::string> kept = recover_by_hand(copy, place / "set");
  REQUIRE(kept == std::vector<std::string>{"\xd0\xb1.db"});
  CHECK(::MoveFileW((place / "set" / io::to_path(kept.front())).c_str(), (place / "back.db").c_str()) != 0);
  CHECK(content_of(place / "back.db").find("\n20|") != std::string::npos);
  // The proof reads it under such a name, too, and a restore may replace it.
  CHECK_FALSE(code_of([&] { hold(file); }));
  {
    const auto held = hold(file);
    CHECK(::CreateFileW(file.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr, OPEN_EXISTING, 0, nullptr) == INVALID_HANDLE_VALUE);
  }
  // Nothing is left beside it; and what cleans up after the test may not know such names.
  CHECK(::DeleteFileW(file.c_str()) != 0);
  for (auto one = made.rbegin(); one != made.rend(); ++one) CHECK(::RemoveDirectoryW(one->c_str()) != 0);
}

TEST_CASE("sqlite on Windows: what somebody keeps to himself is told as that", "[sqlite_windows]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  const HANDLE other = ::CreateFileW(file.c_str(), GENERIC_READ, 0, nullptr, OPEN_EXISTING, 0, nullptr);
  REQUIRE(other != INVALID_HANDLE_VALUE);
  std::string words;
  CHECK(code_of([&] { copy_by_hand(file, place / "set"); }, &words) == errc::database_locked);
  CHECK(words.find("keeps it to itself") != std::string::npos);
  CHECK(code_of([&] { hold(file); }, &words) == errc::database_locked);
  ::CloseHandle(other);
  CHECK_FALSE(code_of([&] { copy_by_hand(file, place / "set"); }));
  CHECK_FALSE(code_of([&] { hold(file); }));
}

TEST_CASE("sqlite on Windows: a short name, beside which SQLite keeps another log, is refused, and so is a log that stands there", "[sqlite_windows]") {
  const temp_directory place;
  const auto file = place / "a database of a long name.db";
  make_wal_database(file, 20);
  WIN32_FIND_DATAW found{};
  const HANDLE search = ::FindFirstFileW(file.c_str(), &found);
  REQUIRE(search != INVALID_HANDLE_VALUE);
  ::FindClose(search);
  if (found.cAlternateFileName[0] == L'\0') {
    WARN("skipped: this file system has no short names");
    return;
  }
  const auto alias = place / std::filesystem::path(found.cAlternateFileName);
  std::string words;
  // By its name, with nobody there.
  CHECK(code_of([&] { copy_by_hand(alias, place / "set"); }, &words) == errc::invalid_path);
  CHECK(words.find("its short name") != std::string::npos);
  CHECK(code_of([&] { hold(alias); }) == errc::invalid_path);
  CHECK_FALSE(code_of([&] { copy_by_hand(file, place / "set"); }));
  {
    // An application that came by the short name: its log is not the one beside the long name.
    connection app(alias);
    app.run("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
    REQUIRE(std::filesystem::exists(alias.string() + "-wal"));
    REQUIRE_FALSE(std::filesystem::exists(file.string() + "-wal"));
    CHECK(code_of([&] { copy_by_hand(file, place / "set"); }, &words) == errc::invalid_path);
    CHECK(words.find(alias.filename().string() + "-") != std::string::npos);
    CHECK(code_of([&] { hold(file); }) == errc::invalid_path);
    CHECK(code_of([&] { copy_by_hand(alias, place / "set"); }) == errc::invalid_path);
    // In its own process.
    asio::io_context context;
    sqlite_engine from(context.get_executor(), app.db, sqlite_of_this_program());
    CHECK(code_of([&] {
            run_on(context, 1, [&]() -> asio::awaitable<void> {
              std::shared_ptr<void> claim = co_await from.claim();
              claim.reset();
            });
          }) == errc::invalid_path);
    CHECK_FALSE(std::filesystem::exists(file.string() + "-wal"));
  }
  // One that comes while the backup runs.
  std::unique_ptr<connection> late;
  const auto come = [&](const std::string& step) {
    if (step == "page" && !late) {
      late = std::make_unique<connection>(alias);
      late->run(add_rows(1));
    }
  };
  CHECK(code_of([&] { copy_by_hand(file, place / "set", come); }) == errc::invalid_path);
  CHECK(late);
  late.reset();
  CHECK_FALSE(code_of([&] { copy_by_hand(file, place / "set"); }));
}

TEST_CASE("sqlite on Windows: a read-only database is not replaced, and its log stays", "[sqlite_windows]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
  writer.kill();
  const std::string database = read_file(file);
  const std::string log = read_file(file.string() + "-wal");
  REQUIRE(!log.empty());
  REQUIRE(::SetFileAttributesW(file.c_str(), FILE_ATTRIBUTE_READONLY) != 0);
  std::string words;
  CHECK(code_of([&] { hold(file); }, &words) == errc::file_access_denied);
  CHECK(words.find("read-only") != std::string::npos);
  CHECK(read_file(file) == database);
  CHECK(read_file(file.string() + "-wal") == log);
  REQUIRE(::SetFileAttributesW(file.c_str(), FILE_ATTRIBUTE_NORMAL) != 0);
  CHECK(content_of(file).find("\n30|") != std::string::npos);
  CHECK_FALSE(code_of([&] { hold(file); }));
}

TEST_CASE("sqlite on Windows: the database is kept from others before the files beside it are", "[sqlite_windows]") {
  // Who could open the database but not its log would go on, and read only, for as long as he lives.
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  write_file(file.string() + "-wal", "");
  const HANDLE log = ::CreateFileW((file.native() + L"-wal").c_str(), GENERIC_READ, 0, nullptr, OPEN_EXISTING, 0, nullptr);
  REQUIRE(log != INVALID_HANDLE_VALUE);
  std::error_code code;
  std::atomic<bool> ended = false;
  std::thread holding([&] {
    code = code_of([&] { hold(file); });   // waits for the log for a while
    ended = true;
  });
  bool kept = false;
  while (!kept && !ended) {
    const HANDLE other = ::CreateFileW(file.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0, nullptr);
    kept = other == INVALID_HANDLE_VALUE && ::GetLastError() == ERROR_SHARING_VIOLATION;
    if (other != INVALID_HANDLE_VALUE) ::CloseHandle(other);
    ::Sleep(5);
  }
  holding.join();
  CHECK(kept);
  CHECK(code == errc::database_locked);
  ::CloseHandle(log);
  CHECK_FALSE(code_of([&] { hold(file); }));
}
