#include "support/sqlite_copy.hpp"
#include "support/sqlite_processes.hpp"

#include "engines/sqlite/engine_state.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

using namespace contrail;
using namespace contrail::test;

namespace {

constexpr std::size_t frame_bytes = 24 + 1024;

/// A set of a database with a log of several transactions, in `place / "set"`.
struct prepared {
  explicit prepared(const std::filesystem::path& in) : directory(in / "set") {
    make_wal_database(in / "app.db", 300, 1024);
    sqlite_shell writer(in / "app.db");
    std::string sql = "PRAGMA wal_autocheckpoint=0;";
    for (int i = 0; i < 6; ++i) {
      sql += add_rows(20);
    }
    writer.ask(sql + "UPDATE t SET data = zeroblob(10) WHERE id = 5;");
    copy = copy_by_hand(in / "app.db", directory);
    state = sqlite::engine_state::read(copy.set.engine_state);
    log = read_file(directory / "app.db.wal");
    database = read_file(directory / "app.db");
  }
  /// Puts the files (back) in place, the lengths made right.
  void put(const std::string& log_bytes) {
    write_file(directory / "app.db", database);
    write_file(directory / "app.db.wal", log_bytes);
    copy.files.at(1).bytes = log_bytes.size();
    copy.files.at(1).valid = log_bytes.size();
  }
  std::error_code recover(std::string* words = nullptr) {
    return code_of([&] { recover_by_hand(copy, directory); }, words);
  }

  std::filesystem::path directory;
  hand_copy copy;
  sqlite::engine_state state;
  std::string log, database;
};

/// What SQLite says of a file that is held: where locks keep it from others it can still be opened.
constexpr const char* held_file_says = tells_who_has_it_open ? "locked" : "unable to open";

}  // namespace

TEST_CASE("sqlite restorer: a set becomes one clean file", "[sqlite_restorer]") {
  const temp_directory place;
  prepared set(place.path());
  CHECK(set.state.frames > 20);
  CHECK(recover_by_hand(set.copy, set.directory) == std::vector<std::string>{"app.db"});
  CHECK(names_in(set.directory) == "app.db");
  CHECK(content_of(set.directory / "app.db") == content_of(place / "app.db"));
  CHECK(std::filesystem::file_size(set.directory / "app.db") == set.state.pages * 1024);
  CHECK(read_file(set.directory / "app.db").substr(18, 2) == "\x02\x02");
}

TEST_CASE("sqlite restorer: bytes behind the last commit do not count", "[sqlite_restorer]") {
  const temp_directory place;
  prepared set(place.path());
  set.put(set.log);
  write_file(set.directory / "app.db.wal", set.log + std::string(5000, 'x'));
  set.copy.files.at(1).bytes += 5000;
  CHECK(set.recover() == std::error_code());
}

TEST_CASE("sqlite restorer: a log that lacks a frame is refused wherever it is, lengths made right", "[sqlite_restorer]") {
  const temp_directory place;
  prepared set(place.path());
  const std::size_t frames = set.state.frames;
  REQUIRE(set.log.size() >= 32 + frames * frame_bytes);
  const std::string log = set.log.substr(0, 32 + frames * frame_bytes);
  const auto without = [&](std::size_t first, std::size_t count) {
    std::string cut = log;
    return cut.erase(32 + first * frame_bytes, count * frame_bytes);
  };
  set.put(log);
  REQUIRE(set.recover() == std::error_code());
  std::string words;
  for (const std::size_t gone : {std::size_t{0}, std::size_t{1}, frames / 2, frames - 2, frames - 1}) {
    set.put(without(gone, 1));
    CHECK(set.recover(&words));
    // Even when the state was made to fit the number of frames.
    set.put(without(gone, 1));
    auto fitted = set.state;
    fitted.frames -= 1;
    set.copy.set.engine_state = fitted.write();
    const auto code = set.recover(&words);
    CHECK((code == errc::log_file_corrupt || code == errc::set_incomplete));
    if (gone < frames - 1) {
      CHECK(code == errc::log_file_corrupt);
      CHECK(words.find("frame " + std::to_string(gone + 1)) != std::string::npos);
    }
    set.copy.set.engine_state = set.state.write();
  }
  // The last transaction as a whole: what is left is a good log, but not the one that was copied.
  std::size_t last_commit = frames - 1;
  while (log.substr(32 + (last_commit - 1) * frame_bytes + 4, 4) == std::string(4, '\0')) {
    --last_commit;
  }
  set.put(log.substr(0, 32 + last_commit * frame_bytes));
  CHECK(set.recover() == errc::set_incomplete);
  auto fitted = set.state;
  fitted.frames = static_cast<std::uint32_t>(last_commit);
  set.copy.set.engine_state = fitted.write();
  set.put(log.substr(0, 32 + last_commit * frame_bytes));
  const auto code = set.recover();
  CHECK((code == errc::log_file_corrupt || code == errc::set_incomplete));
}

TEST_CASE("sqlite restorer: a log of another database, damage, and missing files are refused", "[sqlite_restorer]") {
  const temp_directory place;
  std::filesystem::create_directory(place / "one");
  std::filesystem::create_directory(place / "two");
  prepared set(place / "one");
  const prepared other(place / "two");
  SECTION("another log") {
    set.put(other.log);
    CHECK(set.recover());
  }
  SECTION("a flipped bit in a page") {
    std::string bad = set.log;
    bad[32 + frame_bytes * 3 + 500] ^= 1;
    set.put(bad);
    std::string words;
    CHECK(set.recover(&words) == errc::log_file_corrupt);
    CHECK(words.find(std::to_string(32 + frame_bytes * 3)) != std::string::npos);
  }
  SECTION("another state's checksum") {
    set.put(set.log);
    auto state = set.state;
    state.sums.first ^= 1;
    set.copy.set.engine_state = state.write();
    CHECK(set.recover() == errc::log_file_corrupt);
  }
  SECTION("no log") {
    set.put(set.log);
    set.copy.files.pop_back();
    CHECK(set.recover() == errc::set_incomplete);
  }
  SECTION("the log's file is gone") {
    set.put(set.log);
    std::filesystem::remove(set.directory / "app.db.wal");
    CHECK(set.recover() == errc::set_incomplete);
  }
  SECTION("the log's file is shorter than it says") {
    set.put(set.log);
    std::filesystem::resize_file(set.directory / "app.db.wal", set.log.size() - 10);
    CHECK(set.recover() == errc::set_incomplete);
  }
  SECTION("a file too many") {
    set.put(set.log);
    set.copy.files.push_back(set.copy.files.front());
    CHECK(set.recover() == errc::set_incomplete);
  }
  SECTION("a database that was cut, with its length made right") {
    set.put(set.log);
    set.database.resize(set.database.size() - 3 * 1024);
    auto state = set.state;
    state.file_pages -= 3;
    set.copy.files.front().bytes = set.database.size();
    set.copy.set.engine_state = state.write();
    set.put(set.log);
    const auto code = set.recover();
    CHECK((code == errc::set_incomplete || code == errc::database_corrupted));
  }
  SECTION("a database whose pages were swapped: only SQLite's own check sees it") {
    const std::string page = set.database.substr(50 * 1024, 1024);
    set.database.replace(50 * 1024, 1024, set.database.substr(60 * 1024, 1024));
    set.database.replace(60 * 1024, 1024, page);
    set.put(set.log);
    CHECK(code_of([&] { recover_by_hand(set.copy, set.directory, false); }) == std::error_code());
    set.put(set.log);
    std::string words;
    CHECK(set.recover(&words) == errc::database_corrupted);
  }
  SECTION("an engine's state that is nonsense, and chains that are none") {
    asio::io_context context;
    sqlite_restorer with(context.get_executor());
    const auto check = [&](std::vector<std::shared_ptr<const manifest>> chain) {
      return code_of([&] { run_on(context, 1, [&] { return with.check_chain(chain); }); });
    };
    auto bad = set.copy.set;
    CHECK(check({std::make_shared<const manifest>(bad)}) == std::error_code());
    CHECK(check({}) == errc::invalid_backup_sequence);
    CHECK(check({std::make_shared<const manifest>(bad), std::make_shared<const manifest>(bad)}) == errc::invalid_backup_sequence);
    bad.engine_state = "{";
    CHECK(check({std::make_shared<const manifest>(bad)}) == errc::set_damaged);
    bad.engine = "pagestore";
    CHECK(check({std::make_shared<const manifest>(bad)}) == errc::set_damaged);
  }
}

TEST_CASE("sqlite restorer: names that SQLite would take for part of a database", "[sqlite_restorer]") {
  asio::io_context context;
  const sqlite_restorer with(context.get_executor());
  CHECK(with.engine() == "sqlite");
  CHECK(with.companions("sub/app.db") == std::vector<std::string>{"sub/app.db-wal", "sub/app.db-shm", "sub/app.db-journal"});
}

TEST_CASE("sqlite restorer: a target that somebody has open is refused", "[sqlite_restorer]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  std::string words;

  SECTION("nobody: it is held, and others are kept out until it is released") {
    auto held = hold(file);
    std::string said;
    try {
      said = sqlite_run(file, ".timeout 50\nSELECT count(*) FROM t;");
    } catch (const std::runtime_error& ended) {
      said = ended.what();
    }
    INFO(said);
    CHECK(said.find(held_file_says) != std::string::npos);
    CHECK(code_of([&] { hold(file); }) == errc::database_locked);
    CHECK(code_of([&] { copy_by_hand(file, place / "set"); }) == errc::backup_in_progress);
    held.reset();
    CHECK(sqlite_run(file, "SELECT count(*) FROM t;") == "20");
  }
  SECTION("a connection in WAL mode") {
    sqlite_shell other(file);
    other.ask("SELECT count(*) FROM t;");
    CHECK(code_of([&] { hold(file); }, &words) == errc::database_locked);
    CHECK(words.find(tells_who_has_it_open ? "process " + std::to_string(other.process()) : "a process has app.db") != std::string::npos);
    CHECK(other.ask(add_rows(1) + "SELECT count(*) FROM t;") == "21");
    other.quit();
    CHECK_FALSE(code_of([&] { hold(file); }));
  }
  SECTION("a connection without a lock: rollback journal, idle") {
    sqlite_run(file, "PRAGMA journal_mode=DELETE;");
    sqlite_shell other(file);
    other.ask("SELECT count(*) FROM t;");
    CHECK(code_of([&] { hold(file); }) == errc::database_locked);
  }
  SECTION("this process itself") {
    sqlite3* own = nullptr;
    REQUIRE(sqlite3_open(file.string().c_str(), &own) == SQLITE_OK);
    REQUIRE(sqlite3_exec(own, "SELECT * FROM t", nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK(code_of([&] { hold(file); }) == errc::database_locked);
    sqlite3_close(own);
    CHECK_FALSE(code_of([&] { hold(file); }));
  }
  SECTION("a process that has only the log open") {
    sqlite_shell writer(file);
    writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
    writer.kill();
    std::ifstream log(file.string() + "-wal");
    CHECK(code_of([&] { hold(file); }) == errc::database_locked);
  }
  SECTION("a file that is no database, and one that is damaged, may be replaced") {
    write_file(place / "text", "some text");
    CHECK_FALSE(code_of([&] { hold(place / "text"); }));
    CHECK(read_file(place / "text") == "some text");
    write_file(file, read_file(file).substr(0, 5000));
    write_file(file.string() + "-wal", std::string(1000, 'x'));
    CHECK_FALSE(code_of([&] { hold(file); }));
  }
  SECTION("no such file") { CHECK(code_of([&] { hold(place / "nothing"); }) == errc::file_not_found); }
  SECTION("a directory") { CHECK(code_of([&] { hold(place.path()); }) == errc::file_invalid_type); }
}

TEST_CASE("sqlite restorer: an old log is brought into the old database before anything is removed", "[sqlite_restorer]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_wal_database(file, 20);
  sqlite_shell writer(file);
  writer.ask("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
  writer.kill();
  REQUIRE(std::filesystem::file_size(file.string() + "-wal") > 0);
  hold(file);
  // As after a crash between the removal of the old log and the coming of the new file.
  std::filesystem::remove(file.string() + "-wal");
  std::filesystem::remove(file.string() + "-shm");
  CHECK(sqlite_run(file, "SELECT count(*) FROM t;") == "30");
}
