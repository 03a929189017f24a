#include <contrail/sinks/directory.hpp>

#include <contrail/error.hpp>
#include "support/repo_tools.hpp"

#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>

namespace fs = std::filesystem;
using contrail::directory_repository;
using contrail::errc;
using contrail::error;
using contrail::set_entry;
using contrail::set_status;

namespace {

struct place {
  temp_directory dir;
  asio::io_context context;
  contrail::io::file_system files{context.get_executor()};
  directory_repository repo{files, dir / "repo"};

  contrail::manifest back_up(const std::vector<repo_file>& content) {
    contrail::manifest out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo_write(repo, content); });
    return out;
  }
  std::vector<repo_file> read(const std::string& set, std::size_t memory = 2 << 20) {
    std::vector<repo_file> out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo_read(repo, set, memory); });
    return out;
  }
  std::vector<set_entry> list() {
    std::vector<set_entry> out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo.list(); });
    return out;
  }
};

std::vector<repo_file> small_set() {
  std::vector<repo_file> out;
  out.emplace_back("app.db", pattern_bytes(20000, 1));
  out.emplace_back("app.db.wal", pattern_bytes(5001, 2), contrail::file_role::log);
  out[0].mode = 0640;
  out[0].owner = "1000:100";
  return out;
}

unsigned mode_of(const fs::path& p) {
  struct stat s {};
  REQUIRE(::lstat(p.c_str(), &s) == 0);
  return s.st_mode & 07777u;
}

// Does what `body` says in a child process; its exit status, or minus the signal that ended it.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("repository: what is written is read back", "[repository]") {
  place p;
  std::vector<repo_file> content = small_set();
  content.emplace_back("sub/dir/big", pattern_bytes(3000000, 3));
  content.emplace_back("empty", "");
  content.emplace_back("manifest.json", "not the set's own");
  content.emplace_back("files.jsonl", "neither");
  content.emplace_back("a.copy", "x");
  content.emplace_back("a.copy.copy", "y");
  content.emplace_back("sub/manifest.json", "z");
  const contrail::manifest m = p.back_up(content);
  CHECK(m.sequence == 1);
  CHECK(m.files == content.size());
  CHECK(contrail::is_set_id(m.set));
  const std::vector<repo_file> got = p.read(m.set);
  REQUIRE(got.size() == content.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].name == content[i].name);
    CHECK(got[i].bytes == content[i].bytes);
    CHECK(got[i].role == content[i].role);
    CHECK(got[i].mode == content[i].mode);
    CHECK(got[i].owner == content[i].owner);
  }
  // As they are, for people and their tools.
  CHECK(read_file(p.dir / "repo" / m.set / "app.db") == content[0].bytes);
}

TEST_CASE("repository: rights, and nothing but the set", "[repository]") {
  place p;
  std::vector<repo_file> content = small_set();
  content.emplace_back("sub/x", "x");
  const contrail::manifest m = p.back_up(content);
  const fs::path top = p.dir / "repo";
  CHECK(repo_names(top) == std::vector<std::string>{m.set + "/", m.set + "/app.db", m.set + "/app.db.wal", m.set + "/files.jsonl",
                                                    m.set + "/manifest.json", m.set + "/sub/", m.set + "/sub/x"});
  CHECK(mode_of(top) == 0700);
  for (const auto& e : fs::recursive_directory_iterator(top)) {
    CHECK(mode_of(e.path()) == (e.is_directory() ? 0700u : 0600u));
  }
}

TEST_CASE("repository: a file shorter or longer than announced has its own length", "[repository]") {
  place p;
  std::string set;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    for (const std::uint64_t announced : {std::uint64_t{8} << 20, std::uint64_t{100}}) {
      contrail::file_info info;
      info.name = announced == 100 ? "longer" : "shorter";
      info.bytes = announced;
      const auto id = co_await writer->open(info);
      std::string stored;
      for (int i = 0; i < 3; ++i) {
        auto data = co_await pool.async_acquire(asio::use_awaitable);
        std::memset(data.buffer().data(), 'a' + i, 50001);
        stored.append(50001, static_cast<char>('a' + i));
        co_await writer->write(id, static_cast<std::uint64_t>(i) * 50001, std::move(data), 50001);
      }
      contrail::file_end end;
      end.bytes = stored.size();
      end.valid = 7;
      end.digest = repo_digest(stored);
      co_await writer->close(id, end);
    }
    contrail::manifest m = repo_manifest();
    co_await writer->commit(m);
    set = m.set;
    const auto reader = co_await p.repo.open(set, 1 << 20);
    const auto file = co_await reader->next_file();
    CHECK(file->bytes == 150003);
    CHECK(file->valid == 7);
  });
  CHECK(fs::file_size(p.dir / "repo" / set / "shorter") == 150003);
  CHECK(fs::file_size(p.dir / "repo" / set / "longer") == 150003);
  CHECK(p.read(set).size() == 2);
}

TEST_CASE("repository: a dropped file leaves nothing and may come again", "[repository]") {
  place p;
  std::string set;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    contrail::file_info info;
    info.name = "app.db";
    info.bytes = 2 << 20;
    const auto id = co_await writer->open(info);
    auto data = co_await pool.async_acquire(asio::use_awaitable);
    co_await writer->write(id, 0, std::move(data), 60000);
    co_await writer->drop(id, make_error_code(errc::source_restarted));
    info.name = "gone";
    const auto second = co_await writer->open(info);
    co_await writer->drop(second, make_error_code(errc::file_vanished));
    const repo_file again("app.db", "again");
    co_await repo_put(*writer, pool, again);
    contrail::manifest m = repo_manifest();
    co_await writer->commit(m);
    set = m.set;
    CHECK(m.files == 1);
    CHECK(m.bytes == 5);
  });
  CHECK(repo_names(p.dir / "repo" / set) == std::vector<std::string>{"app.db", "files.jsonl", "manifest.json"});
  CHECK(p.read("latest")[0].bytes == "again");
}

TEST_CASE("repository: a set of many files, list longer than its buffers", "[repository]") {
  place p;
  std::vector<repo_file> content;
  for (int i = 0; i < 800; ++i) content.emplace_back("d" + std::to_string(i % 7) + "/" + std::string(100, 'n') + std::to_string(i), "x");
  const contrail::manifest m = p.back_up(content);
  CHECK(m.files == 800);
  CHECK(fs::file_size(p.dir / "repo" / m.set / "files.jsonl") > 150000);
  const auto got = p.read(m.set, 1 << 20);
  REQUIRE(got.size() == 800);
  CHECK(got[799].name == content[799].name);
}

TEST_CASE("repository: more files than the memory allows is said", "[repository]") {
  place p;
  const contrail::manifest m = p.back_up(small_set());
  std::string lines;
  for (int i = 0; i < 9000; ++i) {
    contrail::manifest_file f;
    f.file.name = "f" + std::to_string(i);
    f.digest = repo_digest("");
    lines += f.write() + "\n";
  }
  repo_set_lines(p.dir / "repo" / m.set, lines);
  CHECK(repo_code([&] { p.read(m.set, 1 << 20); }) == errc::out_of_memory);
  CHECK(repo_code([&] { p.read(m.set, 4 << 20); }) == errc::set_incomplete);
  CHECK(repo_code([&] { p.read(m.set, 1000); }) == errc::invalid_parameter);
}

TEST_CASE("repository: sets are listed and found by the order of their commits", "[repository]") {
  place p;
  std::vector<std::string> ids{"20301231T000000Z-00000001", "20200101T000000Z-00000002", "20250101T000000Z-00000003"};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    run_on(p.context, 1, [&]() -> asio::awaitable<void> {
      std::vector<repo_file> content;
      content.emplace_back("f", ids[i]);
      const contrail::manifest m = co_await repo_write(p.repo, content, ids[i]);
      CHECK(m.sequence == i + 1);
    });
  }
  fs::create_directory(p.dir / "repo" / "other");
  write_file(p.dir / "repo" / "notes.txt", "mine");
  const std::vector<set_entry> all = p.list();
  REQUIRE(all.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(all[i].set == ids[i]);
    CHECK(all[i].status == set_status::complete);
    CHECK(all[i].info->sequence == i + 1);
  }
  CHECK(p.read("latest")[0].bytes == ids[2]);
  CHECK(repo_code([&] { p.read("20250101T000000Z-0000ffff"); }) == errc::set_not_found);
  CHECK(repo_code([&] { p.read("../repo"); }) == errc::set_not_found);
}

TEST_CASE("repository: a set that cannot be read is damaged, and not passed over for an older one", "[repository]") {
  place p;
  const contrail::manifest one = p.back_up(small_set());
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    const contrail::manifest m = co_await repo_write(p.repo, small_set(), "20990101T000000Z-00000001");
    CHECK(m.sequence == 2);
  });
  const fs::path bad = p.dir / "repo" / "20990101T000000Z-00000001";
  write_file(bad / "manifest.json", "garbage");
  const std::vector<set_entry> all = p.list();
  REQUIRE(all.size() == 2);
  CHECK(all[0].set == one.set);
  CHECK(all[1].status == set_status::damaged);
  CHECK(all[1].info == nullptr);
  CHECK_FALSE(all[1].why.empty());
  CHECK(repo_code([&] { p.read("latest"); }) == errc::set_damaged);
  // Its number is not given away.
  const contrail::manifest three = p.back_up(small_set());
  CHECK(three.sequence == 3);
  CHECK(fs::exists(bad / "app.db"));
  // An older damaged one does not hide the newest.
  fs::rename(bad, p.dir / "repo" / "20000101T000000Z-00000001");
  CHECK(p.read("latest").size() == 2);
}

TEST_CASE("repository: kinds of damaged manifests", "[repository]") {
  place p;
  const contrail::manifest m = p.back_up(small_set());
  const fs::path set = p.dir / "repo" / m.set;
  errc expected = errc::set_damaged;
  SECTION("gone") {
    fs::remove(set / "manifest.json");
    expected = errc::set_incomplete;
  }
  SECTION("a directory") {
    fs::remove(set / "manifest.json");
    fs::create_directory(set / "manifest.json");
  }
  SECTION("a link") {
    fs::rename(set / "manifest.json", p.dir / "elsewhere");
    fs::create_symlink(p.dir / "elsewhere", set / "manifest.json");
  }
  SECTION("huge") { fs::resize_file(set / "manifest.json", std::uint64_t{1} << 40); }
  SECTION("empty") { write_file(set / "manifest.json", ""); }
  SECTION("another set's") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["set"] = "20000101T000000Z-00000001"; });
  }
  SECTION("newer") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["schema"] = 2; });
    expected = errc::format_unknown;
  }
  SECTION("the set is a link") {
    fs::rename(set, p.dir / "elsewhere");
    fs::create_directory_symlink(p.dir / "elsewhere", set);
  }
  SECTION("the set is a file") {
    fs::remove_all(set);
    write_file(set, "x");
  }
  CHECK(repo_code([&] { p.read(m.set); }) == expected);
  const auto all = p.list();
  REQUIRE(all.size() == 1);
  CHECK(all[0].status == set_status::damaged);
}

TEST_CASE("repository: what the list says is checked", "[repository]") {
  place p;
  const contrail::manifest m = p.back_up(small_set());
  const fs::path set = p.dir / "repo" / m.set;
  errc expected = errc::set_damaged;
  std::string file = "files.jsonl";
  SECTION("list gone") {
    fs::remove(set / "files.jsonl");
    expected = errc::set_incomplete;
  }
  SECTION("list cut") { fs::resize_file(set / "files.jsonl", 50); }
  SECTION("list longer") { write_file(set / "files.jsonl", read_file(set / "files.jsonl") + "\n"); }
  SECTION("list ends within a line") {
    std::string lines = read_file(set / "files.jsonl");
    lines.pop_back();
    repo_set_lines(set, lines);
  }
  SECTION("a line without end") { repo_set_lines(set, std::string(1 << 20, ' ') + "\n"); }
  SECTION("counts") { repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["files"] = 3; }); }
  SECTION("bytes") { repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["bytes"] = 3; }); }
  SECTION("a path twice") { repo_edit_lines(set, "path", "app.db"); }
  SECTION("a path through a file") {
    const std::string lines = read_file(set / "files.jsonl");
    const std::size_t at = lines.find("app.db.wal");
    repo_set_lines(set, lines.substr(0, at) + "app.db/wal" + lines.substr(at + 10));
  }
  SECTION("absolute") {
    repo_edit_lines(set, "path", "/etc/passwd");
    expected = errc::unsafe_path;
  }
  SECTION("up") {
    repo_edit_lines(set, "path", "../../x");
    expected = errc::unsafe_path;
  }
  SECTION("a link") {
    repo_edit_lines(set, "role", "link");
    expected = errc::format_unknown;
    file = "app.db";
  }
  SECTION("a reference to another set") {
    repo_edit_lines(set, "unchanged", true);
    expected = errc::format_unknown;
    file = "app.db";
  }
  try {
    p.read(m.set);
    FAIL("it was read");
  } catch (const error& e) {
    CHECK(e.code() == expected);
    CHECK(e.details().file == file);
  }
}

TEST_CASE("repository: two backups at once get numbers of their own", "[repository]") {
  place p;
  const unsigned threads = GENERATE(1u, 3u);
  std::vector<contrail::manifest> done(6);
  const auto one = [&](std::size_t i) -> asio::awaitable<void> {
    std::vector<repo_file> content;
    content.emplace_back("f", pattern_bytes(100000 + i, static_cast<unsigned>(i)));
    done[i] = co_await repo_write(p.repo, content);
  };
  run_on(p.context, threads, [&]() -> asio::awaitable<void> {
    std::vector<std::exception_ptr> failures(done.size());
    std::atomic<std::size_t> ended{0};
    for (std::size_t i = 0; i < done.size(); ++i) {
      auto finished = [&failures, &ended, i](std::exception_ptr e) {
        failures[i] = std::move(e);
        ++ended;
      };
      asio::co_spawn(asio::make_strand(p.context), one(i), std::move(finished));
    }
    asio::steady_timer timer(p.context);
    while (ended != done.size()) {
      timer.expires_after(std::chrono::milliseconds(5));
      co_await timer.async_wait(asio::use_awaitable);
    }
    for (const auto& f : failures) {
      if (f) std::rethrow_exception(f);
    }
  });
  std::set<std::uint64_t> numbers;
  for (const auto& m : done) numbers.insert(m.sequence);
  CHECK(numbers == std::set<std::uint64_t>{1, 2, 3, 4, 5, 6});
  for (const auto& m : done) CHECK(p.read(m.set).size() == 1);
  CHECK(repo_names(p.dir / "repo").size() == 6 * 4);
}

TEST_CASE("repository: a set in work is shown, and not disturbed by another backup", "[repository]") {
  place p;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    std::vector<std::string> swept;
    p.repo.on_swept = [&](const std::string& name) { swept.push_back(name); };
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    const repo_file first("a", "aaa");
    co_await repo_put(*writer, pool, first);
    const auto all = co_await p.repo.list();
    CHECK(all.size() == 1);
    CHECK(all[0].set == header.set);
    CHECK(all[0].status == set_status::in_progress);
    const contrail::manifest other = co_await repo_write(p.repo, small_set());
    CHECK(other.sequence == 1);
    CHECK(swept.empty());
    const repo_file second("b", "bbb");
    co_await repo_put(*writer, pool, second);
    contrail::manifest m = repo_manifest();
    co_await writer->commit(m);
    CHECK(m.sequence == 2);
    const auto content = co_await repo_read(p.repo, m.set);
    CHECK(content.size() == 2);
  });
}

TEST_CASE("repository: an abandoned set is removed by the next backup, and by nobody else", "[repository]") {
  place p;
  p.back_up(small_set());
  const std::string left = "20240101T000000Z-0000000a";
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    const contrail::set_header header = repo_header(left);
    auto writer = co_await p.repo.begin(header);
    const repo_file file("sub/a", "aaa");
    co_await repo_put(*writer, pool, file);
    // The writer goes without abort: what a kill leaves.
  });
  const fs::path repo = p.dir / "repo";
  REQUIRE(fs::exists(repo / (".partial-" + left) / "sub" / "a"));
  REQUIRE(fs::exists(repo / (".partial-" + left + ".lock")));
  // Not ours, whatever they look like.
  fs::create_directory(repo / ".partial-other");
  write_file(repo / ".partial-20240101T000000Z-0000000b", "a file");
  fs::create_directory(p.dir / "outside");
  write_file(p.dir / "outside" / "kept", "x");
  fs::create_directory_symlink(p.dir / "outside", repo / ".partial-20240101T000000Z-0000000c");
  CHECK(p.list().size() == 1);
  CHECK(fs::exists(repo / (".partial-" + left)));
  std::vector<std::string> swept;
  p.repo.on_swept = [&](const std::string& name) { swept.push_back(name); };
  p.back_up(small_set());
  CHECK(swept == std::vector<std::string>{".partial-" + left});
  CHECK_FALSE(fs::exists(repo / (".partial-" + left)));
  CHECK_FALSE(fs::exists(repo / (".partial-" + left + ".lock")));
  CHECK(fs::exists(repo / ".partial-other"));
  CHECK(fs::exists(repo / ".partial-20240101T000000Z-0000000b"));
  CHECK(fs::exists(p.dir / "outside" / "kept"));
  CHECK(p.list().size() == 2);
}

TEST_CASE("repository: abort leaves nothing, not even the repository it made", "[repository]") {
  place p;
  const auto abort_one = [&] {
    run_on(p.context, 1, [&]() -> asio::awaitable<void> {
      contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
      const contrail::set_header header = repo_header();
      auto writer = co_await p.repo.begin(header);
      const repo_file file("sub/a", "aaa");
      co_await repo_put(*writer, pool, file);
      contrail::file_info info;
      info.name = "open";
      const auto id = co_await writer->open(info);
      auto data = co_await pool.async_acquire(asio::use_awaitable);
      co_await writer->write(id, 0, std::move(data), 65536);
      co_await writer->abort();
      co_await writer->abort();
      CHECK(pool.free_count() == 2);
    });
  };
  const std::size_t before = open_descriptors();
  abort_one();
  CHECK_FALSE(fs::exists(p.dir / "repo"));
  fs::create_directory(p.dir / "repo");
  abort_one();
  CHECK(repo_names(p.dir / "repo").empty());
  CHECK(fs::exists(p.dir / "repo"));
  CHECK(open_descriptors() == before);
}

TEST_CASE("repository: misuse is told and leaves only the abort", "[repository]") {
  place p;
  p.back_up(small_set());
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 4, 4096);
    for (int what = 0; what < 9; ++what) {
      CAPTURE(what);
      const contrail::set_header header = repo_header();
      auto writer = co_await p.repo.begin(header);
      const repo_file file("a", "aaa");
      co_await repo_put(*writer, pool, file);
      contrail::file_info info;
      info.name = "b";
      contrail::manifest m = repo_manifest();
      std::error_code ec;
      try {
        if (what == 0) info.name = "../b";
        if (what == 1) info.name = "a";
        if (what == 2) info.role = contrail::file_role::link;
        if (what == 3) info.unchanged = true;
        const auto id = co_await writer->open(info);
        auto data = co_await pool.async_acquire(asio::use_awaitable);
        if (what == 4) co_await writer->write(id, 1, std::move(data), 1);
        if (what == 5) co_await writer->commit(m);
        contrail::file_end end;
        end.digest = repo_digest("");
        if (what == 6) end.bytes = 1;
        if (what == 7) end.digest = "nonsense";
        co_await writer->close(id, end);
        contrail::file_id none;
        none.value = 77;
        if (what == 8) co_await writer->close(none, end);
        FAIL("nothing was said");
      } catch (const error& e) {
        ec = e.code();
      }
      CHECK(ec);
      std::error_code again;
      try {
        co_await writer->commit(m);
      } catch (const error& e) {
        again = e.code();
      }
      CHECK(again == ec);
      co_await writer->abort();
    }
    const contrail::set_header nonsense = repo_header("../x");
    std::error_code ec;
    try {
      const auto writer = co_await p.repo.begin(nonsense);
    } catch (const error& e) {
      ec = e.code();
    }
    CHECK(ec == errc::invalid_parameter);
  });
  CHECK(p.list().size() == 1);
  CHECK(repo_names(p.dir / "repo").size() == 5);
}

TEST_CASE("repository: a set of the same id is never replaced", "[repository]") {
  place p;
  const contrail::manifest m = p.back_up(small_set());
  std::error_code ec;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    try {
      const std::vector<repo_file> none;
      const contrail::manifest other = co_await repo_write(p.repo, none, m.set);
    } catch (const error& e) {
      ec = e.code();
    }
  });
  CHECK(ec == errc::set_exists);
  CHECK(p.read(m.set).size() == 2);
  CHECK(repo_names(p.dir / "repo").size() == 5);
}

TEST_CASE("repository: places that cannot be one", "[repository]") {
  place p;
  write_file(p.dir / "file", "x");
  fs::create_symlink(p.dir / "nowhere", p.dir / "dangling");
  fs::create_directory(p.dir / "real");
  fs::create_directory_symlink(p.dir / "real", p.dir / "link");
  const auto begin = [&](const fs::path& where) {
    return repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        directory_repository repo(p.files, where);
        const contrail::manifest m = co_await repo_write(repo, small_set());
      });
    });
  };
  const auto list = [&](const fs::path& where) {
    return repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        directory_repository repo(p.files, where);
        const auto all = co_await repo.list();
        CHECK(all.empty());
      });
    });
  };
  CHECK(begin(p.dir / "file") == errc::not_a_repository);
  CHECK(begin(p.dir / "dangling") == errc::not_a_repository);
  CHECK(begin(p.dir / "no" / "such") == std::errc::no_such_file_or_directory);
  CHECK(begin(p.dir / "file" / "below") == errc::not_a_repository);
  CHECK_FALSE(fs::exists(p.dir / "no"));
  CHECK(begin(p.dir / "link/") == std::error_code());
  CHECK(begin(p.dir / "slash/") == std::error_code());
  CHECK(list(p.dir / "file") == errc::not_a_repository);
  CHECK(list(p.dir / "no") == errc::set_not_found);
  fs::create_directory(p.dir / "empty");
  CHECK(list(p.dir / "empty") == std::error_code());
}

TEST_CASE("repository: the destination disappears", "[repository]") {
  place p;
  const bool at_commit = GENERATE(false, true);
  std::string said;
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::buffer_pool pool(p.context.get_executor(), 2, 65536);
    const contrail::set_header header = repo_header();
    auto writer = co_await p.repo.begin(header);
    try {
      const repo_file file("a", "aaa");
      if (at_commit) co_await repo_put(*writer, pool, file);
      fs::remove_all(p.dir / "repo");
      if (!at_commit) co_await repo_put(*writer, pool, file);
      contrail::manifest m = repo_manifest();
      co_await writer->commit(m);
    } catch (const error& e) {
      said = e.what();
      CHECK(e.code() == std::errc::no_such_file_or_directory);
    }
    co_await writer->abort();
  });
  CAPTURE(said);
  CHECK(said.find((p.dir / "repo").string()) != std::string::npos);
  CHECK_FALSE(fs::exists(p.dir / "repo"));
}

// A limit on the size of files stands for a full disk: write() fails in the same place, and no mount is needed.
TEST_CASE("repository: no more room is told with file and offset, and nothing stays", "[repository]") {
  place p;
  const bool announced = GENERATE(false, true);
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 3 << 20;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    asio::io_context context;
    directory_repository repo(contrail::io::file_system(context.get_executor()), p.dir / "repo");
    int result = 2;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      contrail::io::buffer_pool pool(context.get_executor(), 4, 262144);
      const contrail::set_header header = repo_header();
      auto writer = co_await repo.begin(header);
      try {
        contrail::file_info info;
        info.name = "a";
        info.bytes = announced ? 5 << 20 : 0;
        const auto id = co_await writer->open(info);
        for (std::uint64_t at = 0; at < 5 << 20; at += 262144) {
          auto data = co_await pool.async_acquire(asio::use_awaitable);
          std::memset(data.buffer().data(), 1, 262144);
          co_await writer->write(id, at, std::move(data), 262144);
        }
        contrail::file_end end;
        end.bytes = end.valid = 5 << 20;
        end.digest = repo_digest("");
        co_await writer->close(id, end);
      } catch (const error& e) {
        const bool right = e.code() == std::errc::file_too_large && e.details().offset.has_value() &&
                           *e.details().offset == (announced ? 0u : 3u << 20) &&
                           e.details().file.find("/a") != std::string::npos;
        result = right ? 0 : 3;
      }
      co_await writer->abort();
    });
    return result;
  });
  CHECK(status == 0);
  CHECK_FALSE(fs::exists(p.dir / "repo"));
}

TEST_CASE("repository: kill -9 in mid-write leaves what the next backup removes", "[repository]") {
  place p;
  const contrail::manifest before = p.back_up(small_set());
  for (const int files_before_kill : {0, 1, 3}) {
    const int status = in_child([&] {
      asio::io_context context;
      directory_repository repo(contrail::io::file_system(context.get_executor()), p.dir / "repo");
      run_on(context, 1, [&]() -> asio::awaitable<void> {
        contrail::io::buffer_pool pool(context.get_executor(), 4, 65536);
        const contrail::set_header header = repo_header();
        auto writer = co_await repo.begin(header);
        for (int i = 0; i < files_before_kill; ++i) {
          const repo_file file("f" + std::to_string(i), pattern_bytes(200000));
          co_await repo_put(*writer, pool, file);
        }
        contrail::file_info info;
        info.name = "open";
        const auto id = co_await writer->open(info);
        auto data = co_await pool.async_acquire(asio::use_awaitable);
        co_await writer->write(id, 0, std::move(data), 65536);
        ::raise(SIGKILL);
      });
      return 0;
    });
    CHECK(status == -SIGKILL);
    CHECK(p.list().size() == 1);
    CHECK(p.read("latest").size() == 2);
    std::size_t swept = 0;
    p.repo.on_swept = [&](const std::string&) { ++swept; };
    const std::error_code ec = repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        const contrail::set_header header = repo_header();
        auto writer = co_await p.repo.begin(header);
        co_await writer->abort();
      });
    });
    CHECK_FALSE(ec);
    CHECK(swept == 1);
    CHECK(repo_names(p.dir / "repo").size() == 5);
  }
}

TEST_CASE("repository: cancelled at any turn, the set is there or nothing is", "[repository]") {
  place p;
  p.back_up(small_set());
  const std::size_t before = open_descriptors();
  std::size_t committed = 0;
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; ++turn) {
    bool finished = false;
    const std::size_t sets = p.list().size();
    const std::error_code ec = repo_cancel_at(p.context, turn, finished, [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(p.repo, small_set());
    });
    const auto all = p.list();
    const bool there = all.size() == sets + 1;
    if (ec) {
      // A cancellation that came while the set was made durable is not an undone backup, but it must be whole.
      if (!there) CHECK(all.size() == sets);
      ++cancelled;
    } else {
      CHECK(there);
      ++committed;
    }
    CHECK(repo_names(p.dir / "repo").size() == all.size() * 5);
    if (there) {
      CHECK(p.read(all.back().set).size() == 2);
      fs::remove_all(p.dir / "repo" / all.back().set);
    }
    if (finished) break;
    REQUIRE(turn < 5000);
  }
  CHECK(cancelled > 50);
  CHECK(committed > 0);
  CHECK(open_descriptors() == before);
}

TEST_CASE("repository: cancelled at any turn, reading leaves nothing open", "[repository]") {
  place p;
  std::vector<repo_file> content = small_set();
  content.emplace_back("big", pattern_bytes(2 << 20));
  const contrail::manifest m = p.back_up(content);
  const std::size_t before = open_descriptors();
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; ++turn) {
    bool finished = false;
    const std::error_code ec = repo_cancel_at(p.context, turn, finished, [&]() -> asio::awaitable<void> {
      const auto got = co_await repo_read(p.repo, "latest", 1 << 20);
      CHECK(got.size() == 3);
    });
    if (ec) ++cancelled;
    if (finished) break;
    REQUIRE(turn < 5000);
  }
  CHECK(cancelled > 20);
  CHECK(open_descriptors() == before);
}

TEST_CASE("repository: the context may end under a writer and a reader", "[repository]") {
  temp_directory dir;
  const std::size_t before = open_descriptors();
  for (std::size_t turn = 0; turn < 120; turn += 3) {
    asio::io_context context;
    contrail::io::file_system files(context.get_executor());
    directory_repository repo(files, dir / "repo");
    bool ended = false;
    auto done = [&ended](std::exception_ptr) { ended = true; };
    const auto both = [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(repo, small_set());
      const auto got = co_await repo_read(repo, m.set);
    };
    asio::co_spawn(asio::make_strand(context), both(), std::move(done));
    for (std::size_t i = 0; i < turn && !ended; ++i) context.run_one();
  }
  CHECK(open_descriptors() == before);
}
