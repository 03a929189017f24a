#include <contrail/restore.hpp>

#include "support/posix/repo_children.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>

namespace fs = std::filesystem;
using contrail::restore_options;

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
  CHECK(restore_in_child(p, other) == -SIGKILL);
  CHECK(read_file(p.into / "app.db") == "old");
  CHECK(read_file(p.into / "app.db-log") == "old log");
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
}

// The companions are asked for once before and once while the file is put in its place: between those two steps of the placement.
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
    const int status = in_child([&] {
      killing other;
      other.kill_at = kill_at;
      asio::io_context own;
      contrail::io::file_system own_files(own.get_executor());
      contrail::directory_repository own_repo(own_files, p.dir / "repo");
      restore_options options;
      options.overwrite = true;
      options.files = &own_files;
      run_on(own, 1, [&]() -> asio::awaitable<void> { const auto r = co_await contrail::restore(own_repo, other, p.into, options); });
      return 0;
    });
    int replaced = 0;
    for (const char* name : {"one.db", "sub/two.db", "sub/deep/three.db"}) {
      const bool is_new = read_file(p.into / name) != "old";
      const bool has_log = fs::exists(p.into / (std::string(name) + "-log"));
      CHECK_FALSE((is_new && has_log));
      replaced += is_new ? 1 : 0;
    }
    if (replaced == 1 || replaced == 2) ++mixed;
    if (status >= 0) {
      CHECK(status == 0);
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
    CHECK(restore_in_child(p, other) == 0);
    CHECK(fs::exists(first_work / "app.db"));
    fs::remove(p.into / "app.db");
  };
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
}
