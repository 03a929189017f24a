#include <contrail/io/file_system.hpp>

#include "support/io_backends.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

using namespace contrail;
using asio::use_awaitable;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);

}  // namespace

TEST_CASE("io_names: create, list, stat, rename, remove", "[io]") {
  for (const backend_case& c : all_backend_cases()) {
    INFO(c.name);
    const temp_directory dir;
    asio::io_context context;
    io::file_system fs = c.files(context.get_executor());
    c.provide(dir.path());
    auto body = [&]() -> asio::awaitable<void> {
      co_await fs.async_make_directory(dir / "d", use_awaitable);
      auto [twice] = co_await fs.async_make_directory(dir / "d", as_result);
      REQUIRE(twice == std::errc::file_exists);
      io::open_options how;
      how.mode = io::access::write;
      how.create = true;
      {
        io::random_access_file file = co_await fs.async_open(dir / "d/b", how, use_awaitable);
        co_await asio::async_write_at(file, 0, asio::buffer("12345", 5), use_awaitable);
      }
      co_await fs.async_open(dir / "d/a", how, use_awaitable);
      const bool links = has_links && c.disk == nullptr;
      if (links) std::filesystem::create_symlink("nowhere", dir / "d/link");
      co_await fs.async_sync_directory(dir / "d", use_awaitable);

      const std::vector<io::entry> entries = co_await fs.async_list(dir / "d", use_awaitable);
      REQUIRE(entries.size() == (links ? 3 : 2));
      REQUIRE(entries[0].name == "a");
      REQUIRE(entries[0].type == io::entry_type::file);
      REQUIRE(entries[1].name == "b");
      if (links) {
        REQUIRE(entries[2].type == io::entry_type::link);
        const io::entry link = co_await fs.async_stat(dir / "d/link", use_awaitable);
        REQUIRE(link.type == io::entry_type::link);
      }

      const io::entry found = co_await fs.async_stat(dir / "d/b", use_awaitable);
      REQUIRE(found.type == io::entry_type::file);
      REQUIRE(found.facts.bytes == 5);
      const bool modes = has_rights || c.disk != nullptr;
      if (modes) REQUIRE(found.facts.mode == 0600);
      const io::entry directory = co_await fs.async_stat(dir / "d", use_awaitable);
      REQUIRE(directory.type == io::entry_type::directory);
      if (modes) REQUIRE(directory.facts.mode == 0700);

      auto [taken] = co_await fs.async_rename_new(dir / "d/b", dir / "d/a", as_result);
      REQUIRE(taken == std::errc::file_exists);
      co_await fs.async_rename(dir / "d/b", dir / "d/a", use_awaitable);
      co_await fs.async_rename_new(dir / "d/a", dir / "d/c", use_awaitable);
      const io::entry moved = co_await fs.async_stat(dir / "d/c", use_awaitable);
      REQUIRE(moved.facts.bytes == 5);

      io::attributes rights;
      rights.mode = 0640;
      co_await fs.async_set_attributes(dir / "d/c", rights, use_awaitable);
      const io::entry changed = co_await fs.async_stat(dir / "d/c", use_awaitable);
      if (modes) REQUIRE(changed.facts.mode == 0640);

      auto [full] = co_await fs.async_remove(dir / "d", as_result);
      REQUIRE(full == std::errc::directory_not_empty);
      co_await fs.async_remove(dir / "d/c", use_awaitable);
      auto [gone] = co_await fs.async_remove(dir / "d/c", as_result);
      REQUIRE(gone == std::errc::no_such_file_or_directory);
      co_await fs.async_remove_all(dir / "d", use_awaitable);
      co_await fs.async_remove_all(dir / "d", use_awaitable);
      auto [missing, nothing] = co_await fs.async_list(dir / "d", as_result);
      REQUIRE(missing == std::errc::no_such_file_or_directory);
      REQUIRE(nothing.empty());
    };
    run_on(context, c.loop_threads, body);
  }
}

TEST_CASE("io_names: a held lock excludes every other handle and ends with it", "[io]") {
  for (const backend_case& c : all_backend_cases()) {
    INFO(c.name);
    const temp_directory dir;
    asio::io_context context;
    io::file_system fs = c.files(context.get_executor());
    c.provide(dir.path());
    io::file_system other = c.files(context.get_executor());
    auto body = [&]() -> asio::awaitable<void> {
      io::held_lock first = co_await fs.async_lock(dir / "lock", use_awaitable);
      REQUIRE(first);
      auto [busy, second] = co_await other.async_lock(dir / "lock", as_result);
      REQUIRE(busy == std::errc::resource_unavailable_try_again);
      REQUIRE_FALSE(second);
      io::held_lock moved = std::move(first);
      auto [still, third] = co_await other.async_lock(dir / "lock", as_result);
      REQUIRE(still == std::errc::resource_unavailable_try_again);
      moved.release();
      io::held_lock fourth = co_await other.async_lock(dir / "lock", use_awaitable);
      fourth.remove_and_release();
      REQUIRE_FALSE(c.exists(dir / "lock"));
    };
    run_on(context, c.loop_threads, body);
  }
}

TEST_CASE("io_names: many threads that lock, remove and lock again never hold one lock twice", "[io]") {
  const temp_directory dir;
  asio::io_context context;
  io::file_system fs(context.get_executor());
  std::atomic<int> holders{0};
  std::atomic<int> most{0};
  std::atomic<int> got{0};
  auto one = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 200; ++i) {
      auto [ec, lock] = co_await fs.async_lock(dir / "lock", as_result);
      if (ec) continue;
      const int now = ++holders;
      int before = most.load();
      while (before < now && !most.compare_exchange_weak(before, now)) {
      }
      ++got;
      --holders;
      lock.remove_and_release();
    }
  };
  std::atomic<int> ended{0};
  for (int i = 0; i < 4; ++i) {
    asio::co_spawn(asio::make_strand(context.get_executor()), one(), [&ended](std::exception_ptr e) {
      if (!e) ++ended;
    });
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& t : threads) t.join();
  REQUIRE(ended == 4);
  REQUIRE(most == 1);
  REQUIRE(got > 0);
}
