#include <contrail/engines/pagestore.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "support/run.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>

using namespace contrail::pagestore;
using contrail::io::crash_mode;
using contrail::io::simulated_disk;

namespace {

parameters small() {
  parameters how;
  how.directory = "/store";
  how.page_size = 4096;
  how.log_file_size = 128U << 10U;
  how.log_buffer = 64U << 10U;
  how.cache_size = 64;
  how.checkpoint_depth = 256U << 10U;
  how.growth = 16;
  return how;
}

asio::awaitable<void> make_one(asio::any_io_executor ex, contrail::io::file_system fs) {
  instance store = co_await instance::open(ex, small(), &fs);
  const database one = co_await store.create("one.db");
  static_cast<void>(one);
  co_await store.terminate();
}

asio::awaitable<void> attach(std::shared_ptr<instance> store, std::shared_ptr<bool> over) {
  const database one = co_await store->attach("one.db");
  static_cast<void>(one);
  *over = true;
}

asio::awaitable<void> checkpoints(std::shared_ptr<instance> store, std::shared_ptr<bool> over) {
  while (!*over) co_await store->checkpoint();
}

asio::awaitable<void> open_it(asio::any_io_executor ex, contrail::io::file_system fs, std::shared_ptr<instance> out) {
  instance store = co_await instance::open(ex, small(), &fs);
  *out = std::move(store);
}

asio::awaitable<void> use_it(asio::any_io_executor ex, contrail::io::file_system fs) {
  instance store = co_await instance::open(ex, small(), &fs);
  const database one = co_await store.attach("one.db");
  static_cast<void>(one);
  co_await store.terminate();
}

// Attach beside checkpoints; false: the power failed before they were done.
bool attach_beside_checkpoints(simulated_disk& disk, std::uint64_t power_fails_after) {
  asio::io_context context(1);
  contrail::io::file_system fs = disk.mount(context.get_executor());
  const auto store = std::make_shared<instance>();
  auto opened = [&](std::exception_ptr e) {
    CHECK_FALSE(e);
    context.stop();   // what the store does by itself would keep it running
  };
  asio::co_spawn(context, open_it(context.get_executor(), fs, store), std::move(opened));
  context.run_for(std::chrono::seconds(60));
  context.restart();
  bool halted = false;
  int ended = 0;
  const auto over = std::make_shared<bool>(false);
  disk.halt_after(power_fails_after, [&] {
    halted = true;
    context.stop();
  });
  for (int i = 0; i < 3; ++i) {
    auto done = [&](std::exception_ptr e) {
      CHECK_FALSE(e);
      if (++ended == 3) context.stop();
    };
    asio::co_spawn(context, i == 0 ? attach(store, over) : checkpoints(store, over), std::move(done));
  }
  context.run_for(std::chrono::seconds(60));
  return !halted;
}

}  // namespace

TEST_CASE("pagestore attach: the power fails at each operation of it beside checkpoints", "[pagestore_attach_crash]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(1, 2, 3, 4, 5, 6));   // they meet at different places
  std::uint64_t crashes = 0;
  for (std::uint64_t n = 1;; ++n) {
    INFO("seed " << seed << ", after " << n << " operations");
    contrail::io::disk_options options;
    options.seed = seed;
    options.patience = 3;
    simulated_disk disk(options);
    {
      asio::io_context context(1);
      contrail::io::file_system fs = disk.mount(context.get_executor());
      run_on(context, 1, [&] { return make_one(context.get_executor(), fs); });
    }
    if (attach_beside_checkpoints(disk, n)) break;
    ++crashes;
    for (const crash_mode mode : {crash_mode::worst, crash_mode::best}) {
      simulated_disk left = disk.after_crash(mode);
      asio::io_context context(1);
      contrail::io::file_system fs = left.mount(context.get_executor());
      REQUIRE_NOTHROW(run_on(context, 1, [&] { return use_it(context.get_executor(), fs); }));
    }
  }
  CHECK(crashes > 20);
}
