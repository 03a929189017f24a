#include <contrail/restore.hpp>

#include <contrail/error.hpp>
#include "support/repo_restore_place.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>
#include <utility>

namespace fs = std::filesystem;
using contrail::errc;
using contrail::error;
using contrail::restore_report;

TEST_CASE("restore: gives back what was backed up", "[restore]") {
  repo_restore_place p;
  const std::vector<repo_file> content = repo_several();
  const std::string set = p.back_up(content);
  const bool exists = GENERATE(false, true);
  if (exists) {
    fs::create_directory(p.into);
    write_file(p.into / "mine", "x");
  }
  const restore_report r = p.restore();
  CHECK(r.set == set);
  CHECK(r.directory == p.into);
  CHECK(r.placed == std::vector<std::string>{"one.db", "sub/two.db", "sub/deep/three.db"});
  CHECK(r.files == 3);
  CHECK(r.bytes == 300300);
  CHECK(r.seconds > 0);
  for (std::size_t i = 0; i < 3; ++i) CHECK(read_file(p.into / content[i].name) == content[i].bytes);
  std::vector<std::string> names{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"};
  if (exists) names.insert(names.begin(), "mine");
  CHECK(repo_names(p.into) == names);
  CHECK(p.counters.bytes_read == 300301);
  CHECK(p.counters.bytes_total == 300301);
}

TEST_CASE("restore: what stands in a set and is no part of it keeps nobody from restoring", "[restore]") {
  repo_restore_place p;
  const fs::path set = p.dir / "repo" / p.back_up(repo_several());
  write_file(set / "notes.txt", "tape 7");
  write_file(set / "one.db-shm", "");
  fs::create_directory(set / "lost+found");
  const restore_report r = p.restore();
  CHECK(r.files == 3);
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"});
}

TEST_CASE("restore: an older set by its id", "[restore]") {
  repo_restore_place p;
  std::vector<repo_file> content;
  content.emplace_back("f", "first");
  p.set = p.back_up(content);
  content[0].bytes = "second";
  p.back_up(content);
  p.restore();
  CHECK(read_file(p.into / "f") == "first");
}

TEST_CASE("restore: what is in the way is refused before anything is written", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_several());
  fs::create_directories(p.into / "sub");
  std::string in_the_way;
  SECTION("a target") { in_the_way = "one.db"; }
  SECTION("a target below") { in_the_way = "sub/two.db"; }
  SECTION("a companion") { in_the_way = "sub/two.db-log"; }
  SECTION("a companion without its file") { in_the_way = "one.db-log"; }
  write_file(p.into / in_the_way, "old");
  const auto before = repo_names(p.into);
  bool recovered = false;
  p.with.on_recover = [&](const contrail::recovery&) { recovered = true; };
  try {
    p.restore();
    FAIL("nothing was said");
  } catch (const error& e) {
    CHECK(e.code() == errc::set_exists);
    CHECK(e.details().file == (p.into / in_the_way).string());
  }
  CHECK_FALSE(recovered);
  CHECK(p.with.held.empty());
  CHECK(repo_names(p.into) == before);
  CHECK(read_file(p.into / in_the_way) == "old");

  p.overwrite = true;
  p.restore();
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"});
  CHECK(p.with.holding == 0);
}

namespace {

/// Lets somebody come in the moment in which nothing keeps the old file from others.
class open_for_a_moment final : public contrail::restorer {
 public:
  explicit open_for_a_moment(repo_restorer& inner) : inner_(inner) {}
  std::function<void()> comes;
  std::string_view engine() const noexcept override { return inner_.engine(); }
  asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const contrail::manifest>> chain) override {
    co_await inner_.check_chain(std::move(chain));
  }
  asio::awaitable<std::vector<std::string>> recover(const contrail::recovery& work) override {
    std::vector<std::string> out = co_await inner_.recover(work);
    co_return out;
  }
  std::vector<std::string> companions(std::string_view file) const override { return inner_.companions(file); }
  asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) override {
    std::shared_ptr<void> out = co_await inner_.hold_target(std::move(file));
    co_return out;
  }
  bool before_replacing(const std::shared_ptr<void>&) noexcept override {
    comes();
    return true;
  }

 private:
  repo_restorer& inner_;
};

}  // namespace

TEST_CASE("restore: what somebody leaves beside the old file in its last moment is not taken for part of the new one", "[restore]") {
  repo_restore_place p;
  const std::vector<repo_file> content = repo_one_database();
  p.back_up(content);
  fs::create_directory(p.into);
  write_file(p.into / "app.db", "old");
  open_for_a_moment with(p.with);
  contrail::restore_options options;
  options.overwrite = true;
  options.memory = 4 << 20;
  options.files = &p.files;
  const auto restoring = [&] {
    run_on(p.context, 1, [&]() -> asio::awaitable<void> { (void)co_await contrail::restore(p.repo, with, p.into, options); });
  };
  SECTION("a log, which is removed") {
    with.comes = [&] { write_file(p.into / "app.db-log", "of the old one"); };
    restoring();
    CHECK(repo_names(p.into) == std::vector<std::string>{"app.db"});
  }
  SECTION("what cannot be removed is told") {
    with.comes = [&] { fs::create_directory(p.into / "app.db-log"); };
    try {
      restoring();
      FAIL("nothing was said");
    } catch (const error& e) {
      CHECK(e.code() == errc::set_exists);
      CHECK(e.details().file == (p.into / "app.db-log").string());
      CHECK(e.details().found.find("remove it before") != std::string::npos);
    }
  }
  CHECK(read_file(p.into / "app.db") == content[0].bytes);
  CHECK(p.with.holding == 0);
}

TEST_CASE("restore: what is not a plain file is never replaced", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_several());
  p.overwrite = GENERATE(false, true);
  fs::create_directories(p.into);
  fs::create_directory(p.dir / "elsewhere");
  write_file(p.dir / "elsewhere" / "two.db", "mine");
  errc expected = errc::set_exists;
  SECTION("a directory") { fs::create_directory(p.into / "one.db"); }
  if (has_links) SECTION("a link to a file") { fs::create_symlink(p.dir / "elsewhere" / "two.db", p.into / "one.db"); }
  if (has_links) SECTION("a dangling link") { fs::create_symlink("nowhere", p.into / "one.db"); }
  SECTION("a companion that is a directory") { fs::create_directory(p.into / "one.db-log"); }
  if (has_links) SECTION("a way that is a link") {
    fs::create_directory_symlink(p.dir / "elsewhere", p.into / "sub");
    expected = errc::unsafe_path;
  }
  SECTION("a way that is a file") {
    write_file(p.into / "sub", "x");
    expected = errc::unsafe_path;
  }
  const auto before = repo_names(p.into);
  CHECK(p.code() == expected);
  CHECK(repo_names(p.into) == before);
  CHECK(read_file(p.dir / "elsewhere" / "two.db") == "mine");
}

TEST_CASE("restore: damage is found before anything is in place", "[restore]") {
  repo_restore_place p;
  const fs::path set = p.dir / "repo" / p.back_up(repo_several());
  p.overwrite = GENERATE(false, true);
  if (p.overwrite) {
    fs::create_directories(p.into);
    write_file(p.into / "one.db", "old");
  }
  errc expected = errc::set_damaged;
  SECTION("a bit") {
    std::string b = read_file(set / "sub/deep/three.db");
    b[299999] = static_cast<char>(b[299999] ^ 4);
    write_file(set / "sub/deep/three.db", b);
  }
  SECTION("cut") { fs::resize_file(set / "sub/deep/three.db", 1); }
  SECTION("gone") {
    fs::remove(set / "log");
    expected = errc::set_incomplete;
  }
  if (has_links) SECTION("a link") {
    fs::rename(set / "one.db", p.dir / "one.db");
    fs::create_symlink(p.dir / "one.db", set / "one.db");
  }
  SECTION("the manifest") { write_file(set / "manifest.json", "{}"); }
  SECTION("a hostile name") {
    repo_edit_lines(set, "path", "../one.db");
    expected = errc::unsafe_path;
  }
  SECTION("an absolute name") {
    repo_edit_lines(set, "path", (p.dir / "victim").string());
    expected = errc::unsafe_path;
  }
  SECTION("newer") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["schema"] = 2; });
    expected = errc::format_unknown;
  }
  SECTION("an incremental set that names no other") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["kind"] = "incremental"; });
    expected = errc::set_damaged;
  }
  SECTION("an incremental set whose base is not there") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) {
      j["kind"] = "incremental";
      j["parent"] = "20260101T000000Z-00000001";
    });
    expected = errc::set_incomplete;
  }
  SECTION("another engine's") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["engine"] = "other"; });
    expected = errc::invalid_parameter;
  }
  bool recovered = false;
  p.with.on_recover = [&](const contrail::recovery&) { recovered = true; };
  CHECK(p.code() == expected);
  CHECK_FALSE(recovered);
  if (p.overwrite) {
    CHECK(repo_names(p.into) == std::vector<std::string>{"one.db"});
    CHECK(read_file(p.into / "one.db") == "old");
  } else {
    CHECK_FALSE(fs::exists(p.into));
  }
  CHECK_FALSE(fs::exists(p.dir / "victim"));
  CHECK(p.with.holding == 0);
}

TEST_CASE("restore: a recovery that fails leaves nothing", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  SECTION("says so") {
    p.with.on_recover = [](const contrail::recovery&) { contrail::fail(errc::database_corrupted, "recover"); };
    CHECK(p.code() == errc::database_corrupted);
  }
  SECTION("chain") {
    p.with.on_check = [] { contrail::fail(errc::missing_full_backup, "check"); };
    CHECK(p.code() == errc::missing_full_backup);
  }
  SECTION("a name that leads out") {
    p.with.names = [](std::vector<std::string> n) {
      n.emplace_back("../x");
      return n;
    };
    CHECK(p.code() == errc::unsafe_path);
  }
  SECTION("a name that is not there") {
    p.with.names = [](std::vector<std::string> n) {
      n.emplace_back("none");
      return n;
    };
    CHECK(p.code() == std::errc::no_such_file_or_directory);
  }
  SECTION("a name that is part of another") {
    p.with.names = [&](std::vector<std::string> n) {
      n.emplace_back("app.db-log");
      return n;
    };
    p.with.on_recover = [](const contrail::recovery& work) { write_file(work.directory / "app.db-log", "x"); };
    CHECK(p.code() == errc::unsafe_path);
  }
  CHECK_FALSE(fs::exists(p.into));
}

TEST_CASE("restore: places that cannot be restored into", "[restore]") {
  repo_restore_place p;
  p.back_up(repo_one_database());
  write_file(p.dir / "file", "x");
  p.into = p.dir / "file";
  CHECK(p.code() == std::errc::not_a_directory);
  p.into = p.dir / "no" / "such";
  CHECK(p.code() == std::errc::no_such_file_or_directory);
  CHECK_FALSE(fs::exists(p.dir / "no"));
  fs::create_directory(p.dir / "real");
  if (has_links) fs::create_directory_symlink(p.dir / "real", p.dir / "link");
  p.into = has_links ? p.dir / "link/" : p.dir / "real/";
  CHECK(p.code() == std::error_code());
  CHECK(fs::exists(p.dir / "real" / "app.db"));
  p.set = "20200101T000000Z-00000000";
  p.into = p.dir / "out";
  CHECK(p.code() == errc::set_not_found);
  CHECK_FALSE(fs::exists(p.into));
}

TEST_CASE("restore: the least memory is enough, and less is refused at once", "[restore]") {
  repo_restore_place p;
  const std::vector<repo_file> content = repo_several();
  p.back_up(content);
  std::size_t for_engine = 0;
  p.with.on_recover = [&for_engine](const contrail::recovery& work) { for_engine = work.memory; };
  const auto with = [&p](std::size_t memory) {
    return repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        contrail::restore_options options;
        options.memory = memory;
        options.files = &p.files;
        const contrail::restore_report ignored = co_await contrail::restore(p.repo, p.with, p.into, options);
        (void)ignored;
      });
    });
  };
  CHECK(with((std::size_t{1} << 20) - 1) == errc::invalid_parameter);
  CHECK_FALSE(fs::exists(p.into));
  CHECK(with(std::size_t{1} << 20) == std::error_code());
  CHECK(repo_names(p.into) == std::vector<std::string>{"one.db", "sub/", "sub/deep/", "sub/deep/three.db", "sub/two.db"});
  CHECK(for_engine > 0);
  CHECK(for_engine < std::size_t{1} << 20);
}
