#include <contrail/sinks/directory.hpp>

#include <contrail/error.hpp>
#include "support/repo_place.hpp"

#include <catch2/catch.hpp>

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>

namespace fs = std::filesystem;
using contrail::directory_repository;
using contrail::errc;
using contrail::error;
using contrail::set_entry;
using contrail::set_status;

TEST_CASE("repository: what is written is read back", "[repository]") {
  repo_place p;
  std::vector<repo_file> content = repo_small_set();
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

TEST_CASE("repository: a file shorter or longer than announced has its own length", "[repository]") {
  repo_place p;
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
  repo_place p;
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
  repo_place p;
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
  repo_place p;
  const contrail::manifest m = p.back_up(repo_small_set());
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
  repo_place p;
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
  repo_place p;
  const contrail::manifest one = p.back_up(repo_small_set());
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    const contrail::manifest m = co_await repo_write(p.repo, repo_small_set(), "20990101T000000Z-00000001");
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
  const contrail::manifest three = p.back_up(repo_small_set());
  CHECK(three.sequence == 3);
  CHECK(fs::exists(bad / "app.db"));
  // An older damaged one does not hide the newest.
  fs::rename(bad, p.dir / "repo" / "20000101T000000Z-00000001");
  CHECK(p.read("latest").size() == 2);
}

TEST_CASE("repository: kinds of damaged manifests", "[repository]") {
  repo_place p;
  const contrail::manifest m = p.back_up(repo_small_set());
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
  if (has_links) SECTION("a link") {
    fs::rename(set / "manifest.json", p.dir / "elsewhere");
    fs::create_symlink(p.dir / "elsewhere", set / "manifest.json");
  }
  SECTION("huge") { fs::resize_file(set / "manifest.json", hugest_resize); }
  SECTION("empty") { write_file(set / "manifest.json", ""); }
  SECTION("another set's") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["set"] = "20000101T000000Z-00000001"; });
  }
  SECTION("newer") {
    repo_edit_manifest(set, [](nlohmann::ordered_json& j) { j["schema"] = 2; });
    expected = errc::format_unknown;
  }
  if (has_links) SECTION("the set is a link") {
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
  repo_place p;
  const contrail::manifest m = p.back_up(repo_small_set());
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
  if (has_links) SECTION("a link") {
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

TEST_CASE("repository: abort leaves nothing, not even the repository it made", "[repository]") {
  repo_place p;
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

TEST_CASE("repository: a set of the same id is never replaced", "[repository]") {
  repo_place p;
  const contrail::manifest m = p.back_up(repo_small_set());
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
  repo_place p;
  write_file(p.dir / "file", "x");
  if (has_links) fs::create_symlink(p.dir / "nowhere", p.dir / "dangling");
  fs::create_directory(p.dir / "real");
  if (has_links) fs::create_directory_symlink(p.dir / "real", p.dir / "link");
  const auto begin = [&](const fs::path& where) {
    return repo_code([&] {
      run_on(p.context, 1, [&]() -> asio::awaitable<void> {
        directory_repository repo(p.files, where);
        const contrail::manifest m = co_await repo_write(repo, repo_small_set());
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
  if (has_links) CHECK(begin(p.dir / "dangling") == errc::not_a_repository);
  CHECK(begin(p.dir / "no" / "such") == std::errc::no_such_file_or_directory);
  CHECK(begin(p.dir / "file" / "below") == errc::not_a_repository);
  CHECK_FALSE(fs::exists(p.dir / "no"));
  if (has_links) CHECK(begin(p.dir / "link/") == std::error_code());
  CHECK(begin(p.dir / "slash/") == std::error_code());
  CHECK(list(p.dir / "file") == errc::not_a_repository);
  CHECK(list(p.dir / "no") == errc::set_not_found);
  fs::create_directory(p.dir / "empty");
  CHECK(list(p.dir / "empty") == std::error_code());
}

namespace {

/// One set that builds on another, as a backup writes it. `meanwhile`: before its commit.
contrail::manifest build_on(repo_place& p, const contrail::manifest& parent, const std::function<void()>& meanwhile = {}) {
  contrail::manifest m = repo_manifest();
  m.what = contrail::kind::incremental;
  m.parent = parent.set;
  m.parent_mark = parent.at;
  const auto given = std::make_shared<const contrail::manifest>(parent);
  run_on(p.context, 1, [&]() -> asio::awaitable<void> {
    contrail::set_header header = repo_header();
    header.what = m.what;
    header.parent = given;
    const std::unique_ptr<contrail::set_writer> writer = co_await p.repo.begin(header);
    if (meanwhile) meanwhile();
    std::exception_ptr failure;
    try {
      co_await writer->commit(m);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await writer->abort();
    std::rethrow_exception(failure);
  });
  return m;
}

}  // namespace

TEST_CASE("repository: a set is not begun where what it builds on is not, nor committed", "[repository]") {
  repo_place p;
  const contrail::manifest full = p.back_up(repo_small_set());
  const contrail::manifest parent = build_on(p, full);
  const fs::path at = p.dir / "repo";
  contrail::manifest given = parent;
  std::error_code expected = errc::missing_full_backup;
  std::function<void()> harm;
  SECTION("no such set") {
    harm = [&] { fs::rename(at / parent.set, p.dir / "away"); };
  }
  SECTION("the one below it is missing") {
    harm = [&] { fs::rename(at / full.set, p.dir / "away"); };
  }
  SECTION("no repository") {
    harm = [&] { fs::rename(at, p.dir / "away"); };
  }
  SECTION("another one under its id") {
    harm = [&] { repo_edit_manifest(at / parent.set, [](nlohmann::ordered_json& j) { j["engine_state"] = "other"; }); };
  }
  SECTION("with another mark") {
    harm = [&] { repo_edit_manifest(at / parent.set, [](nlohmann::ordered_json& j) { j["mark"]["position"] = 77; }); };
  }
  SECTION("of another engine") {
    harm = [&] { repo_edit_manifest(at / parent.set, [](nlohmann::ordered_json& j) { j["engine"] = "other"; }); };
  }
  SECTION("the one below it is a copy") {
    harm = [&] { repo_edit_manifest(at / full.set, [](nlohmann::ordered_json& j) { j["kind"] = "copy"; }); };
  }
  SECTION("its manifest is damaged") {
    harm = [&] { write_file(at / parent.set / "manifest.json", "x"); };
    expected = errc::set_damaged;
  }
  SECTION("meanwhile") {
    CHECK(repo_code([&] { build_on(p, given, [&] { fs::rename(at / parent.set, p.dir / "away"); }); }) == errc::missing_full_backup);
    CHECK(p.list().size() == 1);
    CHECK(repo_names(at).size() == 5);
    fs::rename(p.dir / "away", at / parent.set);
    CHECK(build_on(p, given).sequence == 3);
    return;
  }
  const std::size_t before = repo_names(p.dir / "").size();
  harm();
  CHECK(repo_code([&] { build_on(p, given); }) == expected);
  CHECK(repo_names(p.dir / "").size() == before);
}

TEST_CASE("repository: the number of a set is above its parent's, wherever that came from", "[repository]") {
  repo_place p;
  const contrail::manifest full = p.back_up(repo_small_set());
  repo_edit_manifest(p.dir / "repo" / full.set, [](nlohmann::ordered_json& j) { j["sequence"] = 41; });
  contrail::manifest parent = *p.list().at(0).info;
  CHECK(build_on(p, parent).sequence == 42);
  parent.sequence = 1;   // as if it had been altered
  CHECK(repo_code([&] { build_on(p, parent); }) == errc::missing_full_backup);
}
