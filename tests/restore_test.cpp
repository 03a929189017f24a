#include <contrail/restore.hpp>

#include <contrail/error.hpp>
#include "support/repo_tools.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace fs = std::filesystem;
using contrail::errc;
using contrail::error;
using contrail::restore_options;
using contrail::restore_report;

namespace {

struct place {
  temp_directory dir;
  asio::io_context context;
  contrail::io::file_system files{context.get_executor()};
  contrail::directory_repository repo{files, dir / "repo"};
  repo_restorer with;
  fs::path into = dir / "out";
  bool overwrite = false;
  std::string set = "latest";
  contrail::progress counters;

  std::string back_up(const std::vector<repo_file>& content) {
    std::string out;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(repo, content);
      out = m.set;
    });
    return out;
  }
  asio::awaitable<void> restore_into(restore_report& out) {
    restore_options options;
    options.set = set;
    options.overwrite = overwrite;
    options.memory = 4 << 20;
    options.progress = &counters;
    options.files = &files;
    out = co_await contrail::restore(repo, with, into, options);
  }
  restore_report restore() {
    restore_report out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { co_await restore_into(out); });
    return out;
  }
  std::error_code code() {
    return repo_code([&] { restore(); });
  }
  // Restores in a child process with another restorer; the signal that ended it, or its exit status.
  int restore_in_child(repo_restorer& other, const std::function<void()>& first = {}) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int status = 1;
      try {
        if (first) first();
        asio::io_context own;
        contrail::io::file_system own_files(own.get_executor());
        contrail::directory_repository own_repo(own_files, dir / "repo");
        restore_options options;
        options.overwrite = overwrite;
        options.files = &own_files;
        run_on(own, 1, [&]() -> asio::awaitable<void> { const auto r = co_await contrail::restore(own_repo, other, into, options); });
        status = 0;
      } catch (...) {
      }
      ::_exit(status);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
};

std::vector<repo_file> one_database() {
  std::vector<repo_file> out;
  out.emplace_back("app.db", pattern_bytes(700001, 1));
  out.emplace_back("app.db.wal", pattern_bytes(50, 2), contrail::file_role::log);
  return out;
}

std::vector<repo_file> several() {
  std::vector<repo_file> out;
  out.emplace_back("one.db", pattern_bytes(100, 1));
  out.emplace_back("sub/two.db", pattern_bytes(200, 2));
  out.emplace_back("sub/deep/three.db", pattern_bytes(300000, 3));
  out.emplace_back("log", "l", contrail::file_role::log);
  return out;
}

struct stat stat_of(const fs::path& p) {
  struct stat s {};
  REQUIRE(::lstat(p.c_str(), &s) == 0);
  return s;
}

}  // namespace

TEST_CASE("restore: gives back what was backed up", "[restore]") {
  place p;
  const std::vector<repo_file> content = several();
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

TEST_CASE("restore: an older set by its id", "[restore]") {
  place p;
  std::vector<repo_file> content;
  content.emplace_back("f", "first");
  p.set = p.back_up(content);
  content[0].bytes = "second";
  p.back_up(content);
  p.restore();
  CHECK(read_file(p.into / "f") == "first");
}

TEST_CASE("restore: rights are given back, the owner too where one may", "[restore]") {
  place p;
  std::vector<repo_file> content = one_database();
  content.emplace_back("plain", "x");
  content.emplace_back("closed", "x");
  content.emplace_back("strange", "x");
  content[0].mode = 0640;
  content[0].owner = "1234:567";
  content[3].mode = 0200;
  content[4].mode = 04755;
  content[4].owner = "root:wheel";
  p.back_up(content);
  p.restore();
  CHECK((stat_of(p.into / "app.db").st_mode & 07777u) == 0640);
  CHECK((stat_of(p.into / "plain").st_mode & 07777u) == 0600);
  CHECK((stat_of(p.into / "closed").st_mode & 07777u) == 0200);
  CHECK((stat_of(p.into / "strange").st_mode & 07777u) == 0755);   // no set-user-id from a backup
  CHECK((stat_of(p.into).st_mode & 07777u) == 0700);
  if (::geteuid() == 0) {
    CHECK(stat_of(p.into / "app.db").st_uid == 1234);
    CHECK(stat_of(p.into / "app.db").st_gid == 567);
    CHECK(stat_of(p.into / "strange").st_uid == 0);
  } else {
    WARN("not root: that the owner is given back was not seen");
  }
}

TEST_CASE("restore: who is not root gets the files as his own", "[restore]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root, to become somebody else");
    return;
  }
  place p;
  std::vector<repo_file> content = one_database();
  content[0].mode = 0640;
  content[0].owner = "1234:567";
  p.back_up(content);
  REQUIRE(::chmod(p.dir.path().c_str(), 0777) == 0);
  for (const auto& e : fs::recursive_directory_iterator(p.dir / "repo")) REQUIRE(::chown(e.path().c_str(), 65534, 65534) == 0);
  REQUIRE(::chown((p.dir / "repo").c_str(), 65534, 65534) == 0);
  repo_restorer other;
  const int status = p.restore_in_child(other, [] {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) ::_exit(77);
  });
  REQUIRE(status == 0);
  CHECK(stat_of(p.into / "app.db").st_uid == 65534);
  CHECK((stat_of(p.into / "app.db").st_mode & 07777u) == 0640);
}

TEST_CASE("restore: what is in the way is refused before anything is written", "[restore]") {
  place p;
  p.back_up(several());
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

TEST_CASE("restore: what is not a plain file is never replaced", "[restore]") {
  place p;
  p.back_up(several());
  p.overwrite = GENERATE(false, true);
  fs::create_directories(p.into);
  fs::create_directory(p.dir / "elsewhere");
  write_file(p.dir / "elsewhere" / "two.db", "mine");
  errc expected = errc::set_exists;
  SECTION("a directory") { fs::create_directory(p.into / "one.db"); }
  SECTION("a link to a file") { fs::create_symlink(p.dir / "elsewhere" / "two.db", p.into / "one.db"); }
  SECTION("a dangling link") { fs::create_symlink("nowhere", p.into / "one.db"); }
  SECTION("a companion that is a directory") { fs::create_directory(p.into / "one.db-log"); }
  SECTION("a way that is a link") {
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

TEST_CASE("restore: a target in use is refused, also with overwrite", "[restore]") {
  place p;
  p.back_up(several());
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
  place p;
  p.back_up(one_database());
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
  place p;
  p.back_up(several());
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
  place p;
  p.back_up(one_database());
  p.overwrite = true;
  p.with.on_recover = [&](const contrail::recovery&) { write_file(p.into / "app.db", "newcomer"); };
  p.restore();
  CHECK(p.with.held == std::vector<std::string>{"app.db"});
  CHECK(fs::file_size(p.into / "app.db") == 700001);
}

TEST_CASE("restore: damage is found before anything is in place", "[restore]") {
  place p;
  const fs::path set = p.dir / "repo" / p.back_up(several());
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
  SECTION("a file too many") { write_file(set / "more", ""); }
  SECTION("a link") {
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
  SECTION("an incremental set") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["kind"] = "incremental"; });
    expected = errc::format_unknown;
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
  place p;
  p.back_up(one_database());
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
  place p;
  p.back_up(one_database());
  write_file(p.dir / "file", "x");
  p.into = p.dir / "file";
  CHECK(p.code() == std::errc::not_a_directory);
  p.into = p.dir / "no" / "such";
  CHECK(p.code() == std::errc::no_such_file_or_directory);
  CHECK_FALSE(fs::exists(p.dir / "no"));
  fs::create_directory(p.dir / "real");
  fs::create_directory_symlink(p.dir / "real", p.dir / "link");
  p.into = p.dir / "link/";
  CHECK(p.code() == std::error_code());
  CHECK(fs::exists(p.dir / "real" / "app.db"));
  p.set = "20200101T000000Z-00000000";
  p.into = p.dir / "out";
  CHECK(p.code() == errc::set_not_found);
  CHECK_FALSE(fs::exists(p.into));
}

TEST_CASE("restore: kill -9 leaves the old files, and what the next restore removes", "[restore]") {
  place p;
  p.back_up(one_database());
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
  place p;
  p.back_up(several());
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
  place p;
  p.back_up(one_database());
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
  place p;
  const std::vector<repo_file> content = several();
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
  place p;
  p.back_up(several());
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
