#include <contrail/io/simulated_disk.hpp>

#include "support/run.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

using namespace contrail;
using asio::use_awaitable;
using io::crash_mode;
using io::disk_request;
using io::simulated_disk;

namespace {

constexpr std::size_t sector = 512;

simulated_disk disk_of(std::uint64_t seed) {
  io::disk_options options;
  options.seed = seed;
  simulated_disk disk(options);
  disk.write_file("/d/f", std::string(2 * sector, 'a'));
  return disk;
}

/// Runs on a file of the disk.
void on_file(simulated_disk& disk, const std::function<asio::awaitable<void>(io::file_system, io::random_access_file*)>& work) {
  asio::io_context context;
  io::file_system fs = disk.mount(context.get_executor());
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    io::open_options how;
    how.mode = io::access::read_write;
    io::random_access_file file = co_await fs.async_open("/d/f", how, use_awaitable);
    co_await work(fs, &file);
  });
  CHECK(disk.in_flight() == 0);
}

/// In which order those of these kinds ended.
std::vector<disk_request> ended(const simulated_disk& disk, disk_request one, disk_request other) {
  std::vector<disk_request> out;
  for (const io::disk_event& e : disk.log())
    if (e.what == one || e.what == other) out.push_back(e.what);
  return out;
}

/// Waits until `running` operations have ended.
asio::awaitable<void> all(const int* running) {
  const auto ex = co_await asio::this_coro::executor;
  while (*running != 0) co_await asio::post(ex, use_awaitable);
}

}  // namespace

TEST_CASE("simulated_disk_sync: a write that is in flight with the sync is not durable, whichever ends first", "[simulated_disk]") {
  int write_first = 0, sync_first = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    simulated_disk disk = disk_of(seed);
    std::string found;
    on_file(disk, [&](io::file_system, io::random_access_file* file) -> asio::awaitable<void> {
      const auto ex = co_await asio::this_coro::executor;
      const std::string before(sector, 'b'), after(3 * sector, 'c');
      co_await asio::async_write_at(*file, 0, asio::buffer(before), use_awaitable);   // the sync is about this one
      int running = 2;
      auto synced = [&](std::error_code ec) {
        CHECK_FALSE(ec);
        --running;
        found = disk.after_crash(crash_mode::worst).read_file("/d/f");
      };
      auto wrote = [&](std::error_code ec, std::size_t n) {
        CHECK_FALSE(ec);
        CHECK(n == after.size());
        --running;
      };
      file->async_write_some_at(0, asio::buffer(after), asio::bind_executor(ex, wrote));
      file->async_sync(asio::bind_executor(ex, synced));
      co_await all(&running);
    });
    INFO("seed " << seed);
    const bool wrote_first = ended(disk, disk_request::write, disk_request::sync).at(1) == disk_request::write;
    ++(wrote_first ? write_first : sync_first);
    const std::string expected = std::string(sector, 'b') + std::string(sector, 'a');
    CHECK(found == expected);
    CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == expected);
    CHECK(disk.read_file("/d/f") == std::string(3 * sector, 'c'));
    on_file(disk, [](io::file_system, io::random_access_file* file) -> asio::awaitable<void> { co_await file->async_sync(use_awaitable); });
    CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == std::string(3 * sector, 'c'));
  }
  CHECK(write_first > 5);
  CHECK(sync_first > 5);
}

TEST_CASE("simulated_disk_sync: two syncs at once do not undo each other", "[simulated_disk]") {
  int backwards = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    simulated_disk disk = disk_of(seed);
    std::vector<int> order;
    on_file(disk, [&](io::file_system fs, io::random_access_file* file) -> asio::awaitable<void> {
      const auto ex = co_await asio::this_coro::executor;
      // The first is in flight while a write ends, the second is about that write, too.
      int running = 2;
      const std::string first(sector, 'b'), second(3 * sector, 'c');
      co_await asio::async_write_at(*file, 0, asio::buffer(first), use_awaitable);
      auto one = [&](std::error_code ec) {
        CHECK_FALSE(ec);
        order.push_back(1);
        --running;
      };
      auto two = [&](std::error_code ec) {
        CHECK_FALSE(ec);
        order.push_back(2);
        --running;
      };
      file->async_sync(asio::bind_executor(ex, one));
      co_await asio::async_write_at(*file, 0, asio::buffer(second), use_awaitable);
      file->async_sync(asio::bind_executor(ex, two));
      co_await all(&running);
      (void)fs;
    });
    INFO("seed " << seed);
    if (order == std::vector<int>{2, 1}) ++backwards;
    CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == std::string(3 * sector, 'c'));
  }
  CHECK(backwards > 0);
}

TEST_CASE("simulated_disk_sync: a sync that fails loses nothing of what ended after it was asked for", "[simulated_disk]") {
  int between = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    simulated_disk disk = disk_of(seed);
    io::disk_fault fails;
    fails.what = disk_request::sync;
    disk.add(fails);
    on_file(disk, [&](io::file_system, io::random_access_file* file) -> asio::awaitable<void> {
      const auto ex = co_await asio::this_coro::executor;
      int running = 1;
      const std::string first(2 * sector, 'b'), second(sector, 'c');
      co_await asio::async_write_at(*file, 0, asio::buffer(first), use_awaitable);
      auto failed = [&](std::error_code ec) {
        CHECK(ec == std::errc::io_error);
        --running;
      };
      file->async_sync(asio::bind_executor(ex, failed));
      co_await asio::async_write_at(*file, 0, asio::buffer(second), use_awaitable);
      if (running == 1) ++between;
      co_await all(&running);
      co_await file->async_sync(use_awaitable);
    });
    INFO("seed " << seed);
    CHECK(disk.after_crash(crash_mode::best).read_file("/d/f") == std::string(sector, 'c') + std::string(sector, 'a'));
  }
  CHECK(between > 5);
}

TEST_CASE("simulated_disk_sync: a name that is made while its directory is synced is not durable", "[simulated_disk]") {
  int made_first = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    simulated_disk disk = disk_of(seed);
    on_file(disk, [&](io::file_system fs, io::random_access_file*) -> asio::awaitable<void> {
      const auto ex = co_await asio::this_coro::executor;
      co_await fs.async_make_directory("/d/before", use_awaitable);
      int running = 2;
      auto done = [&](std::error_code ec) {
        CHECK_FALSE(ec);
        --running;
      };
      fs.async_make_directory("/d/meanwhile", asio::bind_executor(ex, done));
      fs.async_sync_directory("/d", asio::bind_executor(ex, done));
      co_await all(&running);
    });
    INFO("seed " << seed);
    if (ended(disk, disk_request::make_directory, disk_request::sync_directory).at(1) == disk_request::make_directory) ++made_first;
    CHECK(disk.after_crash(crash_mode::worst).names("/d") == std::vector<std::string>{"before/", "f"});
    CHECK(disk.after_crash(crash_mode::best).names("/d") == std::vector<std::string>{"before/", "f", "meanwhile/"});
  }
  CHECK(made_first > 5);
}

TEST_CASE("simulated_disk_sync: what is cancelled in flight is stopped always, or never, when that is asked for", "[simulated_disk]") {
  const io::disk_cancellation what = GENERATE(io::disk_cancellation::stops, io::disk_cancellation::comes_late);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    simulated_disk disk = disk_of(seed);
    disk.set_cancellation(what);
    asio::io_context context;
    io::file_system fs = disk.mount(context.get_executor());
    asio::cancellation_signal signal;
    std::optional<std::error_code> got;
    fs.async_make_directory("/d/x", asio::bind_cancellation_slot(signal.slot(), [&](std::error_code ec) { got = ec; }));
    for (int i = 0; i < 3; ++i) context.run_one();
    REQUIRE(disk.in_flight() == 1);
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    REQUIRE(got.has_value());
    CHECK((*got == asio::error::operation_aborted) == (what == io::disk_cancellation::stops));
    CHECK(disk.exists("/d/x") == (what == io::disk_cancellation::comes_late));
  }
}

TEST_CASE("simulated_disk_sync: what is written again behind the length that a failed sync has lost brings it back", "[simulated_disk]") {
  simulated_disk disk = disk_of(1);
  io::disk_fault fault;
  fault.what = disk_request::sync;
  disk.add(fault);
  on_file(disk, [](io::file_system, io::random_access_file* file) -> asio::awaitable<void> {
    const std::string grown(4 * sector, 'b'), again(sector, 'c');
    co_await asio::async_write_at(*file, 2 * sector, asio::buffer(grown), use_awaitable);
    std::error_code failed;
    try {
      co_await file->async_sync(use_awaitable);
    } catch (const std::system_error& e) {
      failed = e.code();
    }
    CHECK(failed == std::errc::io_error);
    co_await asio::async_write_at(*file, 4 * sector, asio::buffer(again), use_awaitable);
    co_await file->async_sync(use_awaitable);
  });
  const std::string left = disk.after_crash(crash_mode::worst).read_file("/d/f");
  CHECK(left == std::string(2 * sector, 'a') + std::string(2 * sector, '\0') + std::string(sector, 'c') + std::string(sector, '\0'));
}
