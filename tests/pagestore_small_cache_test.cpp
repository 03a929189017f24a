#include <contrail/engines/pagestore.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "support/run.hpp"

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <system_error>

using namespace contrail::pagestore;
using contrail::io::simulated_disk;

namespace {

asio::awaitable<void> allocate(transaction& t, database in, unsigned pages) {
  for (unsigned i = 0; i < pages; ++i) {
    const page_no n = co_await t.allocate(in);
    static_cast<void>(n);
  }
}

asio::awaitable<void> commit(transaction& t) {
  const commit_info done = co_await t.commit(durability::lazy);
  static_cast<void>(done);
}

}  // namespace

// All pages in memory but the one that is just read are dirty, and they are more than fit: the one that is read must not go before it is used.
TEST_CASE("pagestore cache: the map of pages is read while others fill the cache beyond its bound", "[pagestore_small_cache]") {
  parameters how;
  how.directory = "/store";
  how.page_size = 4096;
  how.log_file_size = 128U << 10U;
  how.log_buffer = 64U << 10U;
  how.cache_size = 64;
  how.checkpoint_depth = 1U << 20U;
  how.growth = 128;
  how.lazy_delay = std::chrono::milliseconds(10000);
  simulated_disk disk;
  asio::io_context context(1);
  contrail::io::file_system fs = disk.mount(context.get_executor());
  page_no got = 0;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    instance store = co_await instance::open(ex, how, &fs);
    const database one = co_await store.create("one.db");
    const database two = co_await store.create("two.db");
    for (int i = 0; i < 2; ++i) {
      transaction t = store.begin();
      co_await allocate(t, one, 24);
      co_await commit(t);
    }
    transaction third = store.begin();
    co_await allocate(third, one, 24);
    bool ended = false;
    std::exception_ptr failure;
    asio::steady_timer over(ex, asio::steady_timer::time_point::max());
    auto first_of_two = [](instance& in, database d, page_no& out) -> asio::awaitable<void> {
      transaction t = in.begin();
      out = co_await t.allocate(d);
    };
    auto done = [&](std::exception_ptr e) {
      failure = std::move(e);
      ended = true;
      over.cancel();
    };
    asio::co_spawn(ex, first_of_two(store, two, got), std::move(done));
    co_await commit(third);   // while that reads
    while (!ended) {
      try {
        co_await over.async_wait(asio::use_awaitable);
      } catch (const std::system_error&) {
        // It has ended.
      }
    }
    if (failure) std::rethrow_exception(failure);
    co_await store.terminate();
  });
  CHECK(got == 2);
}
