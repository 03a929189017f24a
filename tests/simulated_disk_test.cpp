#include <contrail/io/simulated_disk.hpp>

#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace contrail;
using asio::use_awaitable;
using io::crash_mode;
using io::disk_request;
using io::simulated_disk;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);
constexpr std::size_t sector = 512;

using body = std::function<asio::awaitable<void>(io::file_system)>;

/// Runs on a file system of its own; nothing of it is left open.
void on(simulated_disk& disk, const body& work) {
  {
    asio::io_context context;
    io::file_system fs = disk.mount(context.get_executor());
    run_on(context, 1, [&]() { return work(fs); });
  }
  CHECK(disk.open_files() == 0);
  CHECK(disk.held_locks() == 0);
  CHECK(disk.in_flight() == 0);
}

asio::awaitable<io::random_access_file> open_new(io::file_system fs, std::string path) {
  io::open_options how;
  how.mode = io::access::read_write;
  how.create = true;
  io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
  co_return file;
}

asio::awaitable<void> put(io::random_access_file* file, std::uint64_t at, std::string bytes) {
  const std::size_t n = co_await asio::async_write_at(*file, at, asio::buffer(bytes), use_awaitable);
  CHECK(n == bytes.size());
}

io::disk_fault fault(disk_request what, std::uint64_t nth, std::errc error = std::errc::io_error) {
  io::disk_fault f;
  f.what = what;
  f.nth = nth;
  f.error = std::make_error_code(error);
  return f;
}

}  // namespace

TEST_CASE("simulated_disk: unsynced sectors are old or new after a crash, each by itself", "[simulated_disk]") {
  simulated_disk disk;
  const std::string before(8 * sector, 'a');
  disk.write_file("/d/f", before);
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    io::random_access_file file = co_await open_new(fs, "/d/f");
    const std::string after(6 * sector, 'b');
    co_await put(&file, sector, after);
  });
  const std::string live = disk.read_file("/d/f");
  CHECK(live == std::string(sector, 'a') + std::string(6 * sector, 'b') + std::string(sector, 'a'));
  CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == before);
  CHECK(disk.after_crash(crash_mode::best).read_file("/d/f") == live);
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const std::string found = disk.after_crash(crash_mode::seeded, seed).read_file("/d/f");
    REQUIRE(found.size() == before.size());
    for (std::size_t s = 0; s < 8; ++s) {
      const std::string part = found.substr(s * sector, sector);
      const bool whole = part == before.substr(s * sector, sector) || part == live.substr(s * sector, sector);
      REQUIRE(whole);
    }
    seen.insert(found);
    REQUIRE(disk.after_crash(crash_mode::seeded, seed).read_file("/d/f") == found);
  }
  CHECK(seen.size() > 50);   // of 64
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    io::random_access_file file = co_await open_new(fs, "/d/f");
    co_await file.async_sync(use_awaitable);
  });
  CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == live);
}

TEST_CASE("simulated_disk: an unsynced length is old, new or between", "[simulated_disk]") {
  simulated_disk disk;
  disk.write_file("/f", std::string(3 * sector, 'a'));
  SECTION("grown") {
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      io::random_access_file file = co_await open_new(fs, "/f");
      const std::string more(5 * sector + 7, 'b');
      co_await put(&file, 3 * sector, more);
    });
    std::set<std::size_t> lengths;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      const std::string found = disk.after_crash(crash_mode::seeded, seed).read_file("/f");
      REQUIRE(found.substr(0, 3 * sector) == std::string(3 * sector, 'a'));
      lengths.insert(found.size());
    }
    CHECK(*lengths.begin() == 3 * sector);
    CHECK(*lengths.rbegin() == 8 * sector + 7);
    CHECK(lengths.size() > 3);
    CHECK(disk.after_crash(crash_mode::worst).read_file("/f").size() == 3 * sector);
  }
  SECTION("cut, and grown again: what was cut off does not come back once that is durable") {
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      io::random_access_file file = co_await open_new(fs, "/f");
      co_await file.async_resize(100, use_awaitable);
      co_await file.async_resize(2 * sector, use_awaitable);
    });
    const std::string live = std::string(100, 'a') + std::string(2 * sector - 100, '\0');
    CHECK(disk.read_file("/f") == live);
    CHECK(disk.after_crash(crash_mode::worst).read_file("/f") == std::string(3 * sector, 'a'));
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      io::random_access_file file = co_await open_new(fs, "/f");
      co_await file.async_sync(use_awaitable);
    });
    CHECK(disk.after_crash(crash_mode::worst).read_file("/f") == live);
  }
}

TEST_CASE("simulated_disk: a name is durable after a sync of its directory, not of its file", "[simulated_disk]") {
  simulated_disk disk;
  disk.make_directory("/d");
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    io::random_access_file file = co_await open_new(fs, "/d/f");
    co_await put(&file, 0, "hello");
    co_await file.async_sync(use_awaitable);
  });
  CHECK(disk.names("/d") == std::vector<std::string>{"f"});
  CHECK(disk.after_crash(crash_mode::worst).names("/d").empty());
  CHECK(disk.after_crash(crash_mode::best).read_file("/d/f") == "hello");
  bool there = false, gone = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    simulated_disk found = disk.after_crash(crash_mode::seeded, seed);
    const bool is = found.exists("/d/f");
    if (is) CHECK(found.read_file("/d/f") == "hello");   // the bytes were synced
    (is ? there : gone) = true;
  }
  CHECK((there && gone));
  on(disk, [](io::file_system fs) -> asio::awaitable<void> { co_await fs.async_sync_directory("/d", use_awaitable); });
  CHECK(disk.after_crash(crash_mode::worst).read_file("/d/f") == "hello");

  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    co_await fs.async_remove("/d/f", use_awaitable);
    co_await fs.async_make_directory("/d/sub", use_awaitable);
    co_await fs.async_sync_directory("/d/sub", use_awaitable);   // of its inside, not of its name
  });
  CHECK(disk.after_crash(crash_mode::worst).names("/d") == std::vector<std::string>{"f"});
  std::set<std::vector<std::string>> seen;   // in any order
  for (std::uint64_t seed = 0; seed < 60; ++seed) seen.insert(disk.after_crash(crash_mode::seeded, seed).names("/d"));
  CHECK(seen.size() == 4);
}

TEST_CASE("simulated_disk: a rename happens as a whole, under one name at any time", "[simulated_disk]") {
  simulated_disk disk;
  disk.write_file("/a/old", "old");
  disk.write_file("/a/new", "new");
  disk.make_directory("/b");
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    co_await fs.async_rename("/a/new", "/a/old", use_awaitable);
    co_await fs.async_rename("/a/old", "/b/moved", use_awaitable);
    co_await fs.async_rename_new("/b/moved", "/b/again", use_awaitable);
    co_await fs.async_sync_directory("/a", use_awaitable);   // does not reach the last two, whose names are in /b
  });
  std::set<std::map<std::string, std::string>> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) seen.insert(disk.after_crash(crash_mode::seeded, seed).files("/"));
  using names = std::map<std::string, std::string>;
  const std::set<names> expected{names{{"a/old", "new"}}, names{{"b/moved", "new"}}, names{{"b/again", "new"}}};
  CHECK(seen == expected);
  CHECK(disk.after_crash(crash_mode::worst).files("/") == names{{"a/old", "new"}});
  on(disk, [](io::file_system fs) -> asio::awaitable<void> { co_await fs.async_sync_directory("/b", use_awaitable); });
  CHECK(disk.after_crash(crash_mode::worst).files("/") == names{{"b/again", "new"}});
}

TEST_CASE("simulated_disk: a sync reaches what its changes stand on, in other directories too", "[simulated_disk]") {
  simulated_disk disk;
  disk.make_directory("/a");
  disk.make_directory("/b");
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    co_await fs.async_make_directory("/a/x", use_awaitable);
    co_await fs.async_make_directory("/a/other", use_awaitable);
    co_await fs.async_rename("/a/x", "/b/y", use_awaitable);
    co_await fs.async_sync_directory("/b", use_awaitable);
  });
  CHECK(disk.after_crash(crash_mode::worst).names("/") == std::vector<std::string>{"a/", "b/", "b/y/"});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const simulated_disk found = disk.after_crash(crash_mode::seeded, seed);
    CHECK(found.exists("/b/y"));
    CHECK_FALSE(found.exists("/a/x"));
  }
}

TEST_CASE("simulated_disk: a directory that is renamed brings what is durable in it", "[simulated_disk]") {
  simulated_disk disk;
  disk.make_directory("/r");
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    co_await fs.async_make_directory("/r/partial", use_awaitable);
    for (const char* name : {"/r/partial/a", "/r/partial/b"}) {
      io::random_access_file file = co_await open_new(fs, name);
      co_await put(&file, 0, name);
      co_await file.async_sync(use_awaitable);
      if (std::string(name) == "/r/partial/a") co_await fs.async_sync_directory("/r/partial", use_awaitable);
    }
    co_await fs.async_rename_new("/r/partial", "/r/final", use_awaitable);
    co_await fs.async_sync_directory("/r", use_awaitable);
  });
  CHECK(disk.after_crash(crash_mode::worst).names("/r") == std::vector<std::string>{"final/", "final/a"});
}

TEST_CASE("simulated_disk: a sync that fails loses what was unsynced, though the next one succeeds", "[simulated_disk]") {
  simulated_disk disk;
  disk.write_file("/d/f", std::string(2 * sector, 'a'));
  disk.add(fault(disk_request::sync, 0));
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    io::random_access_file file = co_await open_new(fs, "/d/f");
    co_await put(&file, 0, std::string(sector, 'b'));
    auto [failed] = co_await file.async_sync(as_result);
    CHECK(failed == std::errc::io_error);
    co_await put(&file, sector, std::string(2 * sector, 'c'));
    auto [again] = co_await file.async_sync(as_result);
    CHECK_FALSE(again);
  });
  CHECK(disk.read_file("/d/f") == std::string(sector, 'b') + std::string(2 * sector, 'c'));
  for (const crash_mode mode : {crash_mode::worst, crash_mode::best, crash_mode::seeded}) {
    CHECK(disk.after_crash(mode, 5).read_file("/d/f") == std::string(sector, 'a') + std::string(2 * sector, 'c'));
  }
  // The same with names.
  disk.add(fault(disk_request::sync_directory, 0));
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    co_await fs.async_rename("/d/f", "/d/g", use_awaitable);
    auto [failed] = co_await fs.async_sync_directory("/d", as_result);
    CHECK(failed == std::errc::io_error);
    co_await fs.async_make_directory("/d/later", use_awaitable);
    co_await fs.async_sync_directory("/d", use_awaitable);
  });
  CHECK(disk.names("/d") == std::vector<std::string>{"g", "later/"});
  for (const crash_mode mode : {crash_mode::worst, crash_mode::best, crash_mode::seeded}) {
    CHECK(disk.after_crash(mode, 5).names("/d") == std::vector<std::string>{"f", "later/"});
  }
}

TEST_CASE("simulated_disk: a full disk writes what fits, then nothing", "[simulated_disk]") {
  io::disk_options options;
  options.capacity = 10 * sector;
  simulated_disk disk(options);
  disk.write_file("/f", std::string(4 * sector, 'a'));
  CHECK(disk.used_bytes() == 5 * sector);
  on(disk, [](io::file_system fs) -> asio::awaitable<void> {
    io::random_access_file file = co_await open_new(fs, "/g");
    const std::string bytes(6 * sector, 'b');
    auto [short_ec, n] = co_await file.async_write_some_at(0, asio::buffer(bytes), as_result);
    CHECK_FALSE(short_ec);
    CHECK(n == 4 * sector);
    auto [full, none] = co_await file.async_write_some_at(n, asio::buffer(bytes), as_result);
    CHECK(full == std::errc::no_space_on_device);
    CHECK(none == 0);
    auto [over, same] = co_await file.async_write_some_at(0, asio::buffer(bytes.data(), sector), as_result);
    CHECK_FALSE(over);   // its room is taken already
    CHECK(same == sector);
    auto [no_room] = co_await file.async_allocate(6 * sector, as_result);
    CHECK(no_room == std::errc::no_space_on_device);
    auto [no_name] = co_await fs.async_make_directory("/d", as_result);
    CHECK(no_name == std::errc::no_space_on_device);
    io::open_options create;
    create.mode = io::access::write;
    create.create = true;
    auto [no_file, nothing] = co_await fs.async_open("/h", create, as_result);
    CHECK(no_file == std::errc::no_space_on_device);
    co_await file.async_resize(sector, use_awaitable);
    co_await fs.async_make_directory("/d", use_awaitable);
  });
  CHECK(disk.used_bytes() == 8 * sector);
}

TEST_CASE("simulated_disk: faults by number, kind and path, once, lasting, or after the deed", "[simulated_disk]") {
  simulated_disk disk;
  disk.make_directory("/d");
  SECTION("any, the third") {
    disk.add(fault(disk_request::any, 2, std::errc::no_space_on_device));
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      std::vector<std::error_code> got;
      for (int i = 0; i < 4; ++i) {
        auto [ec] = co_await fs.async_make_directory("/d/" + std::to_string(i), as_result);
        got.push_back(ec);
      }
      CHECK_FALSE(got[0]);
      CHECK_FALSE(got[1]);
      CHECK(got[2] == std::errc::no_space_on_device);
      CHECK_FALSE(got[3]);
    });
    CHECK(disk.names("/d") == std::vector<std::string>{"0/", "1/", "3/"});
  }
  SECTION("of a kind and a path, lasting") {
    io::disk_fault f = fault(disk_request::stat, 1);
    f.path = "d/x";
    f.lasting = true;
    disk.add(std::move(f));
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      co_await fs.async_make_directory("/d/x", use_awaitable);
      co_await fs.async_stat("/d/x", use_awaitable);
      for (int i = 0; i < 3; ++i) {
        auto [ec, entry] = co_await fs.async_stat("/d/x", as_result);
        CHECK(ec == std::errc::io_error);
        co_await fs.async_stat("/d", use_awaitable);
      }
    });
    disk.clear_faults();
    on(disk, [](io::file_system fs) -> asio::awaitable<void> { co_await fs.async_stat("/d/x", use_awaitable); });
  }
  SECTION("done, and failed all the same") {
    for (const disk_request what : {disk_request::rename, disk_request::lock}) {
      io::disk_fault f = fault(what, 0);
      f.applied = true;
      disk.add(std::move(f));
    }
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      co_await fs.async_make_directory("/d/x", use_awaitable);
      auto [moved] = co_await fs.async_rename("/d/x", "/d/y", as_result);
      CHECK(moved == std::errc::io_error);
      auto [ec, lock] = co_await fs.async_lock("/d/lock", as_result);
      CHECK(ec == std::errc::io_error);
      CHECK_FALSE(lock);
      io::held_lock second = co_await fs.async_lock("/d/lock", use_awaitable);   // the first is nobody's
      CHECK(static_cast<bool>(second));
    });
    CHECK(disk.names("/d") == std::vector<std::string>{"lock", "y/"});
  }
  SECTION("a part of a tree is gone") {
    bool part = false;
    for (std::uint64_t seed = 1; seed < 10; ++seed) {
      io::disk_options options;
      options.seed = seed;
      simulated_disk other(options);
      for (int i = 0; i < 5; ++i) other.write_file("/d/e/" + std::to_string(i), "x");
      other.add(fault(disk_request::remove_all, 0));
      on(other, [](io::file_system fs) -> asio::awaitable<void> {
        auto [ec] = co_await fs.async_remove_all("/d", as_result);
        CHECK(ec == std::errc::io_error);
      });
      const std::size_t left = other.names("/").size();
      CHECK(left >= 1);
      part = part || (left > 2 && left < 7);
    }
    CHECK(part);
  }
}

TEST_CASE("simulated_disk: the same seed gives the same events", "[simulated_disk]") {
  const auto run = [](std::uint64_t seed) {
    io::disk_options options;
    options.seed = seed;
    options.short_transfers = true;
    simulated_disk disk(options);
    on(disk, [](io::file_system fs) -> asio::awaitable<void> {
      std::vector<io::random_access_file> files;
      int running = 0;
      const std::string bytes = pattern_bytes(9'000);
      for (int i = 0; i < 5; ++i) {
        io::random_access_file file = co_await open_new(fs, "/" + std::to_string(i));
        files.push_back(std::move(file));
      }
      const auto ex = co_await asio::this_coro::executor;
      auto done = [&running](std::error_code ec, std::size_t n) {
        CHECK_FALSE(ec);
        CHECK(n == 9'000);
        --running;
      };
      for (auto& file : files) {
        ++running;
        asio::async_write_at(file, 0, asio::buffer(bytes), asio::bind_executor(ex, done));
      }
      while (running != 0) co_await asio::post(ex, use_awaitable);
    });
    for (int i = 0; i < 5; ++i) CHECK(disk.read_file("/" + std::to_string(i)) == pattern_bytes(9'000));
    return disk.log();
  };
  const auto first = run(1);
  CHECK(first == run(1));
  CHECK(first != run(2));
  std::vector<std::string> order;
  for (const auto& e : first)
    if (e.what == disk_request::write && e.offset == 0) order.push_back(e.path);
  CHECK(order.size() == 5);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));   // the first completions are not in the order of the requests
  CHECK(std::any_of(first.begin(), first.end(), [](const io::disk_event& e) { return e.what == disk_request::write && e.count < e.bytes; }));
}

TEST_CASE("simulated_disk: locks exclude, and end with a crash; what was open is stale", "[simulated_disk]") {
  simulated_disk disk;
  disk.write_file("/f", "hello");
  asio::io_context context;
  io::file_system fs = disk.mount(context.get_executor());
  io::held_lock lock;
  io::random_access_file file;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    lock = co_await fs.async_lock("/lock", use_awaitable);
    auto [held, none] = co_await fs.async_lock("/lock", as_result);
    CHECK(held == std::errc::resource_unavailable_try_again);
    const io::open_options how;
    file = co_await fs.async_open("/f", how, use_awaitable);
    co_await fs.async_sync_directory("/", use_awaitable);
  });
  CHECK(disk.held_locks() == 1);
  CHECK(disk.open_files() == 1);
  disk.crash(crash_mode::worst);
  CHECK(disk.held_locks() == 0);
  CHECK(disk.open_files() == 0);
  on(disk, [](io::file_system fresh) -> asio::awaitable<void> {
    io::held_lock mine = co_await fresh.async_lock("/lock", use_awaitable);
    CHECK(static_cast<bool>(mine));
  });
  lock.remove_and_release();   // of before the crash: without effect
  CHECK(disk.exists("/lock"));
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    std::string text(5, '?');
    auto [read, n] = co_await file.async_read_some_at(0, asio::buffer(text), as_result);
    CHECK(read == std::errc::no_such_device);
    auto [made] = co_await fs.async_make_directory("/d", as_result);
    CHECK(made == std::errc::no_such_device);
  });
  file.close();
  CHECK(disk.read_file("/f") == "hello");
}

TEST_CASE("simulated_disk: without power nothing ends", "[simulated_disk]") {
  simulated_disk disk;
  bool ended = false;
  {
    asio::io_context context;
    io::file_system fs = disk.mount(context.get_executor());
    const auto work = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < 10; ++i) co_await fs.async_make_directory("/" + std::to_string(i), use_awaitable);
      ended = true;
    };
    disk.halt_after(4, [&] { context.stop(); });
    asio::co_spawn(context, work(), [](std::exception_ptr) {});
    context.run();
    CHECK(disk.halted());
    CHECK_FALSE(ended);
  }
  CHECK(disk.names("/") == std::vector<std::string>{"0/", "1/", "2/", "3/"});
  CHECK(disk.in_flight() == 0);
  disk.crash(crash_mode::best);
  CHECK_FALSE(disk.halted());
  on(disk, [](io::file_system fs) -> asio::awaitable<void> { co_await fs.async_remove("/0", use_awaitable); });
}

TEST_CASE("simulated_disk: a cancelled operation is dropped, or says what it did", "[simulated_disk]") {
  int dropped = 0, done = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    io::disk_options options;
    options.seed = seed;
    simulated_disk disk(options);
    asio::io_context context;
    io::file_system fs = disk.mount(context.get_executor());
    asio::cancellation_signal signal;
    std::optional<std::error_code> got;
    fs.async_make_directory("/d", asio::bind_cancellation_slot(signal.slot(), [&](std::error_code ec) { got = ec; }));
    for (int i = 0; i < 3; ++i) context.run_one();
    REQUIRE_FALSE(got.has_value());
    signal.emit(asio::cancellation_type::terminal);
    context.run();
    REQUIRE(got.has_value());
    if (*got) CHECK(*got == asio::error::operation_aborted);
    CHECK(disk.exists("/d") == !*got);
    ++(*got ? dropped : done);
  }
  CHECK(dropped > 5);
  CHECK(done > 5);
}
