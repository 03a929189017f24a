#include <contrail/restore.hpp>

#include <contrail/error.hpp>
#include "support/repo_restore_place.hpp"

#include <catch2/catch.hpp>

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
