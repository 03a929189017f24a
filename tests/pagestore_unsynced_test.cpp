#include "support/pagestore_scene.hpp"
#include "support/pagestore_texts.hpp"

#include "async/file_calls.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

// What the system shows though it is not on the disk: after a sync that failed, or in a file that its maker did not sync.

using namespace contrail::pagestore;
using contrail::errc;
using contrail::io::crash_mode;
using contrail::io::disk_fault;
using contrail::io::disk_request;
using contrail::io::simulated_disk;
using namespace pagestore_texts;
using pagestore_scene::on;
using pagestore_scene::small_instance;

namespace {

std::uint32_t number_at(const std::string& bytes, std::size_t offset) {
  std::uint32_t out = 0;
  std::memcpy(&out, bytes.data() + offset, sizeof out);
  return out;
}

/// The first sector of the last batch is lost, as when the power fails while it is written. How many sectors it has.
std::uint32_t tear_last_batch(simulated_disk& disk, const std::string& path) {
  constexpr std::size_t sector = 512, header = 4096, generation_at = 8, batch_at = 16, count_at = 24;
  std::string log = disk.read_file(path);
  std::uint32_t newest = 0, sectors = 0;
  std::size_t first = 0;
  for (std::size_t at = header; at + sector <= log.size(); at += sector) {
    if (number_at(log, at + generation_at) == 0 || number_at(log, at + batch_at) <= newest) continue;
    newest = number_at(log, at + batch_at);
    first = at;
    sectors = number_at(log, at + count_at);
  }
  std::memset(log.data() + first, 0, sector);
  disk.write_file(path, log);
  return sectors;
}

std::error_code opening(simulated_disk& disk, const parameters& how) {
  std::error_code refused;
  try {
    on(disk, how, [](instance&) -> asio::awaitable<void> { co_return; });
  } catch (const contrail::error& e) {
    UNSCOPED_INFO(e.what());
    refused = e.code();
  }
  return refused;
}

/// Something with an open store, during which the power fails after so many requests. Did it come to its end before?
bool cut_short(simulated_disk& disk, const parameters& how, unsigned requests, const std::function<asio::awaitable<void>(instance&)>& what) {
  auto context = std::make_unique<asio::io_context>(1);
  bool done = false;
  const auto work = [&]() -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(context->get_executor());
    instance store = co_await instance::open(context->get_executor(), how, &fs);
    disk.halt_after(requests, [&] { context->stop(); });
    co_await what(store);
    done = true;
    context->stop();
  };
  asio::co_spawn(*context, work(), [](std::exception_ptr) {});
  context->run_for(std::chrono::seconds(60));
  context.reset();
  disk.crash(crash_mode::worst);
  return done;
}

}  // namespace

TEST_CASE("pagestore_unsynced: what is left of a torn batch does not come back when the sync of its zeros has failed", "[pagestore_unsynced]") {
  const bool clean_end = GENERATE(false, true);
  CAPTURE(clean_end);
  simulated_disk disk;
  const parameters how = small_instance();
  page_no p = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database x = co_await store.create("x.db");
    p = co_await add(store, x, "000");
    co_await store.checkpoint();
    std::string all(4000, '\0');
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 7 + 1);
    co_await put(store, x, p, all);
  });
  disk.crash(crash_mode::worst);
  REQUIRE(tear_last_batch(disk, "/store/edb.log") > 4);
  disk_fault fault;
  fault.what = disk_request::sync;
  fault.path = "edb.log";
  disk.add(fault);
  CHECK(opening(disk, how) != std::error_code());
  disk.clear_faults();
  // The machine runs on, and the rest of the log seems to be zeros.
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database x = co_await store.attach("x.db");
    co_await put(store, x, p, "NEW");
    if (clean_end) co_await store.terminate(term_mode::complete);
  });
  disk.crash(crash_mode::best);
  std::string found;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database x = co_await store.attach("x.db");
    found = co_await get(store, x, p);
  });
  CHECK(found == "NEW");
}

TEST_CASE("pagestore_unsynced: a file that nobody has synced is, before it is attached", "[pagestore_unsynced]") {
  const parameters how = small_instance();
  bool attached = false;
  for (unsigned requests = 1; !attached; ++requests) {
    REQUIRE(requests < 100);
    CAPTURE(requests);
    simulated_disk disk;
    page_no p = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database y = co_await store.create("y.db");
      static_cast<void>(co_await add(store, y, "yyy"));
      const database x = co_await store.create("x.db");
      p = co_await add(store, x, "000");
      co_await store.detach(x);
      co_await store.terminate(term_mode::complete);
    });
    const std::string bytes = disk.read_file("/store/x.db");
    disk.remove("/store/x.db");
    // The copy of a program that does not sync is there when the store runs.
    pagestore_scene::run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      contrail::io::open_options options;
      options.mode = contrail::io::access::read_write;
      options.create = true;
      const std::filesystem::path path = "/store/x.db";
      contrail::calls::opened copy = co_await contrail::calls::open(fs, path, options);
      REQUIRE_FALSE(copy.ec);
      const asio::const_buffer all = asio::buffer(bytes);
      co_await write_whole(copy.file, 0, all, "copy", "x.db");
    });
    attached = cut_short(disk, how, requests, [](instance& store) -> asio::awaitable<void> {
      const database x = co_await store.attach("x.db");
      static_cast<void>(x);
    });
    // The copy itself may be lost, not the store: that has it attached only where it is whole.
    CHECK(opening(disk, how) == std::error_code());
    if (attached) {
      std::string found;
      on(disk, how, [&](instance& store) -> asio::awaitable<void> {
        const database x = co_await store.attach("x.db");
        found = co_await get(store, x, p);
      });
      CHECK(found == "000");
    }
  }
}

TEST_CASE("pagestore_unsynced: a database whose attachment was cut short may be used elsewhere", "[pagestore_unsynced]") {
  const parameters here = small_instance("/store"), there = small_instance("/other");
  bool attached = false;
  unsigned used = 0;
  for (unsigned requests = 1; !attached; ++requests) {
    REQUIRE(requests < 100);
    CAPTURE(requests);
    simulated_disk disk;
    page_no p = 0, q = 0;
    on(disk, here, [&](instance& store) -> asio::awaitable<void> {
      const database y = co_await store.create("y.db");
      q = co_await add(store, y, "yyy");
      const database x = co_await store.create("x.db");
      p = co_await add(store, x, "000");
      co_await store.detach(x);
      co_await store.terminate(term_mode::complete);
    });
    attached = cut_short(disk, here, requests, [](instance& store) -> asio::awaitable<void> {
      const database x = co_await store.attach("x.db");
      static_cast<void>(x);
    });
    // Clean as it is, another store takes it, and dies.
    bool taken = true;
    try {
      on(disk, there, [&](instance& store) -> asio::awaitable<void> {
        const database x = co_await store.attach("/store/x.db");
        co_await put(store, x, p, "BBB");
      });
    } catch (const contrail::error& e) {
      taken = false;
      CHECK(e.code() == errc::database_dirty_shutdown);   // its header had been reached
    }
    disk.crash(crash_mode::worst);
    std::string found;
    on(disk, here, [&](instance& store) -> asio::awaitable<void> {
      const database y = co_await store.attach("y.db");
      found = co_await get(store, y, q);
    });
    CHECK(found == "yyy");
    if (!taken) continue;
    ++used;
    on(disk, there, [&](instance& store) -> asio::awaitable<void> {
      const database x = co_await store.attach("/store/x.db");
      found = co_await get(store, x, p);
    });
    CHECK(found == "BBB");
  }
  CHECK(used > 3);
}
