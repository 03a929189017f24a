#include "support/posix/page_cache.hpp"
#include "support/run.hpp"
#include "support/sqlite_in_process.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/error.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <catch2/catch.hpp>

#include <optional>

using namespace contrail;
using namespace contrail::test;

// Locks that go when the process closes a file, files that are replaced while they are open, and the page cache.

namespace {

/// Words between two processes.
class wire {
 public:
  wire() {
    if (::pipe2(there_, O_CLOEXEC) != 0 || ::pipe2(back_, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  }
  ~wire() {
    for (const int fd : {there_[0], there_[1], back_[0], back_[1]}) ::close(fd);
  }
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;
  /// The application: "I am at this step", and waits to be sent on.
  void tell(char step) const {
    char word = step;
    if (::write(there_[1], &word, 1) != 1 || ::read(back_[0], &word, 1) != 1) ::_exit(98);
  }
  char hear() const {
    char word = 0;
    return ::read(there_[0], &word, 1) == 1 ? word : '\0';
  }
  void go_on() const { REQUIRE(::write(back_[1], "g", 1) == 1); }
  void only_hear() {
    ::close(there_[1]);
    there_[1] = -1;
  }

 private:
  int there_[2], back_[2];
};

/// What the application does: writes, is backed up in the middle of it, writes on; then stands still until it is killed.
int application(const wire& to, const std::filesystem::path& file, const std::filesystem::path& vault, std::optional<io::backend_kind> kind) {
  const connection app(file);
  app.run("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
  to.tell('o');
  if (kind) {
    back_up(app, vault, *kind, [&] {
      app.run(add_rows(10));
      to.tell('d');
      app.run(add_rows(10));
    });
  } else {
    // What any program does that copies a file.
    ::close(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    to.tell('d');
    app.run(add_rows(20));
  }
  to.tell('a');
  app.run(add_rows(10));
  to.tell('w');
  return 0;
}

/// Runs the application, with a second process that opens and closes the database at each of its steps. Gives the number of rows that
/// are there after a crash of the application; it committed rows_before + 40.
std::string rows_after_crash(const std::filesystem::path& file, const std::filesystem::path& vault, std::optional<io::backend_kind> kind) {
  wire to;
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = application(to, file, vault, kind);
    } catch (const std::exception& problem) {
      (void)!::write(2, problem.what(), std::char_traits<char>::length(problem.what()));
    }
    ::_exit(code);
  }
  to.only_hear();
  std::string steps;
  for (char step = to.hear(); step != '\0'; step = to.hear()) {
    steps += step;
    rows_of(file);
    if (step == 'w') {
      ::kill(child, SIGKILL);
      break;
    }
    to.go_on();
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(steps == "odaw");
  return rows_of(file);
}

}  // namespace

TEST_CASE("sqlite in process: a second process that opens and closes the database loses nothing", "[sqlite_in_process]") {
  for (const io::backend_kind kind : kinds()) {
    INFO(io::to_string(kind));
    const temp_directory place;
    const auto file = place / "app.db";
    make_application_database(file);
    CHECK(rows_after_crash(file, place / "vault", kind) == std::to_string(rows_before + 40));
    CHECK(sqlite_run(file, "PRAGMA integrity_check;") == "ok");

    asio::io_context context;
    directory_repository vault(context.get_executor(), place / "vault");
    sqlite_restorer with(context.get_executor());
    run_on(context, 1, [&]() -> asio::awaitable<void> { (void)co_await restore(vault, with, place / "back"); });
    // The ten rows before the backup at least, and nothing of what came after it.
    const int rows = std::stoi(rows_of(place / "back" / "app.db"));
    CHECK(rows >= rows_before + 10);
    CHECK(rows <= rows_before + 30);
    CHECK(sqlite_run(place / "back" / "app.db", "PRAGMA integrity_check;") == "ok");
  }
}

TEST_CASE("sqlite in process: the test can fail: an ordinary open and close of the file loses commits", "[sqlite_in_process]") {
  const temp_directory place;
  const auto file = place / "app.db";
  make_application_database(file);
  CHECK(std::stoi(rows_after_crash(file, place / "vault", {})) < rows_before + 40);
}

TEST_CASE("sqlite in process: another file under the database's name is not touched", "[sqlite_in_process]") {
  for (const bool later : {false, true}) {
    const temp_directory place;
    const auto file = place / "app.db";
    make_application_database(file);
    make_application_database(place / "other.db");
    const std::string other = read_file(place / "other.db");
    const connection app(file);
    app.run("PRAGMA wal_autocheckpoint=0; " + add_rows(10));
    asio::io_context context;
    const auto replace = [&] { std::filesystem::rename(place / "other.db", file); };
    std::error_code code;
    try {
      if (!later) replace();
      const io::file_system files(context.get_executor());
      sqlite_engine from(files, app.db, sqlite_of_this_program());
      if (later) replace();
      directory_repository vault(files, place / "vault");
      run_on(context, 1, [&]() -> asio::awaitable<void> { (void)co_await backup(from, vault); });
    } catch (const error& problem) {
      code = problem.code();
    }
    CHECK(code == errc::source_replaced);
    CHECK(read_file(file) == other);
    CHECK(std::filesystem::exists(place / "app.db-wal"));
  }
}

TEST_CASE("sqlite: a backup leaves the page cache as it found it, cold and warm", "[sqlite_in_process]") {
  for (const io::backend_kind kind : kinds()) {
    const temp_directory place;
    const auto file = place / "app.db";
    make_wal_database(file, 120'000);
    if (!evict(file)) {
      WARN("skipped: this file system keeps its files in memory");
      return;
    }
    for (const bool warm : {false, true}) {
      INFO(io::to_string(kind) << (warm ? ", warm" : ", cold"));
      auto measure = [&] {
        residency_change found;
        REQUIRE(evict(file));
        if (warm) warm_up(file, std::filesystem::file_size(file));
        found.before = resident_pages(file);
        asio::io_context context;
        const io::file_system files(context.get_executor(), on(kind));
        sqlite_engine from(files, file);
        directory_repository vault(files, place / "vault");
        run_on(context, 1, [&]() -> asio::awaitable<void> { (void)co_await backup(from, vault); });
        found.after = resident_pages(file);
        return found;
      };
      const residency_change found = until_undisturbed(measure, [](const residency_change& f) { return f.kept(); });
      INFO("resident pages before " << count_of(found.before) << ", after " << count_of(found.after));
      CHECK(found.kept());
    }
  }
}
