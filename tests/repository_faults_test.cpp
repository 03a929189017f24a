#include <contrail/sinks/directory.hpp>

#include <contrail/error.hpp>
#include "support/repo_place.hpp"

#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>

namespace fs = std::filesystem;
using contrail::directory_repository;
using contrail::errc;
using contrail::error;
using contrail::set_status;

TEST_CASE("repository: two backups at once get numbers of their own", "[repository]") {
  repo_place p;
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
  repo_place p;
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
    const contrail::manifest other = co_await repo_write(p.repo, repo_small_set());
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
  repo_place p;
  p.back_up(repo_small_set());
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
  if (has_links) fs::create_directory_symlink(p.dir / "outside", repo / ".partial-20240101T000000Z-0000000c");
  CHECK(p.list().size() == 1);
  CHECK(fs::exists(repo / (".partial-" + left)));
  std::vector<std::string> swept;
  p.repo.on_swept = [&](const std::string& name) { swept.push_back(name); };
  p.back_up(repo_small_set());
  CHECK(swept == std::vector<std::string>{".partial-" + left});
  CHECK_FALSE(fs::exists(repo / (".partial-" + left)));
  CHECK_FALSE(fs::exists(repo / (".partial-" + left + ".lock")));
  CHECK(fs::exists(repo / ".partial-other"));
  CHECK(fs::exists(repo / ".partial-20240101T000000Z-0000000b"));
  CHECK(fs::exists(p.dir / "outside" / "kept"));
  CHECK(p.list().size() == 2);
}

TEST_CASE("repository: misuse is told and leaves only the abort", "[repository]") {
  repo_place p;
  p.back_up(repo_small_set());
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

TEST_CASE("repository: cancelled at any turn, the set is there or nothing is", "[repository]") {
  repo_place p;
  p.back_up(repo_small_set());
  const std::size_t before = open_descriptors();
  std::size_t committed = 0;
  std::size_t cancelled = 0;
  for (std::size_t turn = 0;; ++turn) {
    bool finished = false;
    const std::size_t sets = p.list().size();
    const std::error_code ec = repo_cancel_at(p.context, turn, finished, [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(p.repo, repo_small_set());
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
  repo_place p;
  std::vector<repo_file> content = repo_small_set();
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
      const contrail::manifest m = co_await repo_write(repo, repo_small_set());
      const auto got = co_await repo_read(repo, m.set);
    };
    asio::co_spawn(asio::make_strand(context), both(), std::move(done));
    for (std::size_t i = 0; i < turn && !ended; ++i) context.run_one();
  }
  CHECK(open_descriptors() == before);
}
