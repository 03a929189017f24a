#include <contrail/restore.hpp>

#include <contrail/error.hpp>
#include "support/repo_restore_place.hpp"

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace fs = std::filesystem;
using contrail::errc;
using contrail::restore_options;
using contrail::restore_report;

TEST_CASE("restore: a target in use is refused, also with overwrite", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_several());
  fs::create_directories(p.into / "sub");
  write_file(p.into / "one.db", "old one");
  write_file(p.into / "sub/two.db", "old two");
  p.overwrite = true;
  p.with.on_hold = [](const fs::path& file) {
    if (file.filename() == "two.db") contrail::fail(errc::database_locked, "hold", file.string());
  };
  CHECK(p.code() == errc::database_locked);
  CHECK(p.with.holding == 0);
  CHECK(read_file(p.into / "one.db") == "old one");
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/two.db"});
}

TEST_CASE("restore: replaced files were held until the new ones stood", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  fs::create_directories(p.into);
  write_file(p.into / "app.db", "old");
  write_file(p.into / "app.db-log", "old log");
  p.overwrite = true;
  p.with.on_recover = [&](const contrail::recovery&) {
    CHECK(p.with.holding == 1);
    CHECK(read_file(p.into / "app.db") == "old");
    CHECK(read_file(p.into / "app.db-log") == "old log");
  };
  p.restore();
  CHECK(p.with.held == std::vector<std::string>{"app.db"});
  CHECK(p.with.holding == 0);
  CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
  CHECK(fs::file_size(p.into / "app.db") == 700001);
}

TEST_CASE("restore: a file that appears meanwhile is not replaced unasked", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_several());
  std::string name;
  SECTION("a target") { name = "sub/two.db"; }
  SECTION("a companion") { name = "sub/two.db-log"; }
  p.with.on_recover = [&](const contrail::recovery&) {
    fs::create_directories(p.into / "sub");
    write_file(p.into / name, "newcomer");
  };
  CHECK(p.code() == errc::set_exists);
  CHECK(repo_names(p.into) == std::vector<std::string>{"sub/", name});
  CHECK(read_file(p.into / name) == "newcomer");
}

TEST_CASE("restore: with overwrite, a file that appears meanwhile is held first", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  p.overwrite = true;
  p.with.on_recover = [&](const contrail::recovery&) { write_file(p.into / "app.db", "newcomer"); };
  p.restore();
  CHECK(p.with.held == std::vector<std::string>{"app.db"});
  CHECK(fs::file_size(p.into / "app.db") == 700001);
}

TEST_CASE("restore: kill -9 leaves the old files, and what the next restore removes", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  fs::create_directories(p.into);
  write_file(p.into / "app.db", "old");
  write_file(p.into / "app.db-log", "old log");
  p.overwrite = true;
  repo_restorer other;
  SECTION("while the set is checked") {
    other.on_check = [] { ::raise(SIGKILL); };
  }
  SECTION("while the target is taken hold of") {
    other.on_hold = [](const fs::path&) { ::raise(SIGKILL); };
  }
  SECTION("while the set is recovered") {
    other.on_recover = [](const contrail::recovery&) { ::raise(SIGKILL); };
  }
  CHECK(p.restore_in_child(other) == -SIGKILL);
  CHECK(read_file(p.into / "app.db") == "old");
  CHECK(read_file(p.into / "app.db-log") == "old log");
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
}

TEST_CASE("restore: kill -9 in mid-placement never leaves a new file beside an old log", "[restore]") {
  struct killing final : contrail::restorer {
    repo_restorer inner;
    mutable int asked = 0;
    int kill_at = 0;
    std::string_view engine() const noexcept override { return "fake"; }
    asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const contrail::manifest>> chain) override {
      return inner.check_chain(std::move(chain));
    }
    asio::awaitable<std::vector<std::string>> recover(const contrail::recovery& work) override { return inner.recover(work); }
    std::vector<std::string> companions(std::string_view file) const override {
      if (++asked == kill_at) ::raise(SIGKILL);
      return inner.companions(file);
    }
    asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override { return inner.hold_target(std::move(file)); }
  };
  repo_restore_place p;
  p.back_up(repo_several());
  p.overwrite = true;
  int mixed = 0;
  for (int kill_at = 1;; ++kill_at) {
    fs::remove_all(p.into);
    fs::create_directories(p.into / "sub/deep");
    for (const char* name : {"one.db", "sub/two.db", "sub/deep/three.db"}) {
      write_file(p.into / name, "old");
      write_file(p.into / (std::string(name) + "-log"), "old log");
    }
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      killing other;
      other.kill_at = kill_at;
      asio::io_context own;
      contrail::io::file_system own_files(own.get_executor());
      contrail::directory_repository own_repo(own_files, p.dir / "repo");
      restore_options options;
      options.overwrite = true;
      options.files = &own_files;
      run_on(own, 1, [&]() -> asio::awaitable<void> { const auto r = co_await contrail::restore(own_repo, other, p.into, options); });
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    int replaced = 0;
    for (const char* name : {"one.db", "sub/two.db", "sub/deep/three.db"}) {
      const bool is_new = read_file(p.into / name) != "old";
      const bool has_log = fs::exists(p.into / (std::string(name) + "-log"));
      CHECK_FALSE((is_new && has_log));
      replaced += is_new ? 1 : 0;
    }
    if (replaced == 1 || replaced == 2) ++mixed;
    if (!WIFSIGNALED(status)) {
      CHECK(replaced == 3);
      break;
    }
    REQUIRE(kill_at < 100);
  }
  CHECK(mixed == 2);   // it was killed between the files
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"});
}

TEST_CASE("restore: another restore into the same place is not disturbed", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  fs::path first_work;
  p.with.on_recover = [&](const contrail::recovery& work) {
    if (!first_work.empty()) return;
    first_work = work.directory;
    repo_restorer other;
    CHECK(p.restore_in_child(other) == 0);
    CHECK(fs::exists(first_work / "app.db"));
    fs::remove(p.into / "app.db");
  };
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
}

TEST_CASE("restore: cancelled at any turn, everything is in place or nothing is touched", "[restore]") {
  repo_restore_place p;
  const std::vector<repo_file> content = repo_several();
  p.back_up(content);
  p.overwrite = GENERATE(false, true);
  const std::vector<std::string> whole{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"};
  const std::size_t before = open_descriptors();
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; ++turn) {
    fs::remove_all(p.into);
    if (p.overwrite) {
      fs::create_directories(p.into);
      write_file(p.into / "one.db", "old");
      write_file(p.into / "one.db-log", "old log");
    }
    bool finished = false;
    restore_report r;
    const std::error_code ec =
        repo_cancel_at(p.context, turn, finished, [&]() -> asio::awaitable<void> { co_await p.restore_into(r); });
    if (ec) ++cancelled;
    const bool placed = fs::exists(p.into / "sub/two.db");
    if (placed) {
      CHECK(repo_names(p.into) == whole);
      CHECK(read_file(p.into / "one.db") == content[0].bytes);
    } else if (p.overwrite) {
      CHECK(ec);
      CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "one.db-log"});
    } else {
      CHECK(ec);
      CHECK_FALSE(fs::exists(p.into));
    }
    CHECK(p.with.holding == 0);
    if (finished) break;
    REQUIRE(turn < 5000);
  }
  CHECK(cancelled > 100);
  CHECK(open_descriptors() == before);
}

TEST_CASE("restore: the context may end under it", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_several());
  const std::size_t before = open_descriptors();
  for (std::size_t turn = 0; turn < 200; turn += 5) {
    asio::io_context context;
    contrail::io::file_system files(context.get_executor());
    contrail::directory_repository repo(files, p.dir / "repo");
    repo_restorer with;
    restore_options options;
    options.overwrite = true;
    options.files = &files;
    bool ended = false;
    auto done = [&ended](std::exception_ptr, restore_report) { ended = true; };
    asio::co_spawn(asio::make_strand(context), contrail::restore(repo, with, p.into, options), std::move(done));
    for (std::size_t i = 0; i < turn && !ended; ++i) context.run_one();
  }
  CHECK(open_descriptors() == before);
  p.overwrite = true;
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"});
}
