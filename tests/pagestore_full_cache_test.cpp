#include "support/pagestore_scene.hpp"

#include <catch2/catch.hpp>

using namespace pagestore_scene;
using contrail::io::crash_mode;

namespace {

constexpr unsigned cached = 64;

/// A database of which so many pages are in use, more than the cache holds, and more are free.
simulated_disk store_of(content& expected, const parameters& how) {
  simulated_disk disk;
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &fs);
    const database d = co_await store.create("a.db");
    for (unsigned i = 0; i < cached + 6; ++i) {
      const page_no n = co_await one_page(store, d, i);
      expected[{"a.db", n}] = payload_of(i);
    }
    co_await store.terminate();
  });
  return disk;
}

parameters small_cache() {
  parameters how = small_instance();
  how.cache_size = cached;
  how.growth = 200;
  return how;
}

/// Opens it again, changes as many pages as the cache holds: all that is in memory is dirty, and no map of pages is. Then does something.
using deed = std::function<asio::awaitable<void>(instance&, database, content&)>;
void with_full_cache(simulated_disk& disk, const parameters& how, content& expected, const deed& then) {
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &fs);
    const database d = co_await store.attach("a.db");
    unsigned changed = 0;
    for (auto& [place, bytes] : expected) {
      if (changed == cached) break;
      co_await overwrite(store, d, place.second, 1001 + 5 * changed);
      bytes = payload_of(1001 + 5 * changed);
      ++changed;
    }
    co_await then(store, d, expected);
    const statistics sums = co_await store.counters();
    CHECK(sums.invariants_broken == 0);
    co_await store.terminate(term_mode::dirty);
  });
  disk.crash(crash_mode::worst);
  const finding found = look(disk, how, expected, true);
  CHECK(found.words() == "");
}

}  // namespace

TEST_CASE("pagestore_full_cache: pages are allocated while all that is in memory is dirty", "[pagestore_full_cache]") {
  content expected;
  simulated_disk disk = store_of(expected, small_cache());
  with_full_cache(disk, small_cache(), expected, [](instance& store, database d, content& model) -> asio::awaitable<void> {
    for (unsigned i = 0; i < 5; ++i) {
      const page_no n = co_await one_page(store, d, 50 + i);
      CHECK(model.count({"a.db", n}) == 0);
      model[{"a.db", n}] = payload_of(50 + i);
    }
  });
}

TEST_CASE("pagestore_full_cache: a page that is free is said to be while all that is in memory is dirty", "[pagestore_full_cache]") {
  content expected;
  simulated_disk disk = store_of(expected, small_cache());
  with_full_cache(disk, small_cache(), expected, [](instance& store, database d, content&) -> asio::awaitable<void> {
    for (const page_no n : {150U, 190U, 151U}) {
      transaction t = store.begin();
      const std::error_code code = co_await code_of(dropped(payload_at(t, d, n)));
      CHECK(code == errc::page_not_initialized);
    }
  });
}

TEST_CASE("pagestore_full_cache: a commit reads the map of pages that it needs while all that is in memory is dirty", "[pagestore_full_cache]") {
  content expected;
  simulated_disk disk = store_of(expected, small_cache());
  with_full_cache(disk, small_cache(), expected, [](instance& store, database d, content& model) -> asio::awaitable<void> {
    // Only frees: nothing before the commit has asked for the map.
    transaction t = store.begin();
    for (unsigned i = 0; i < 3; ++i) {
      const auto at = model.begin();
      co_await t.free(d, at->first.second);
      model.erase(at);
    }
    co_await commit_of(t);
    transaction more = store.begin();
    const page_no n = co_await more.allocate(d);
    CHECK(model.count({"a.db", n}) == 0);
    const std::string bytes = payload_of(77);
    co_await more.write(d, n, 0, asio::buffer(bytes));
    co_await commit_of(more);
    model[{"a.db", n}] = bytes;
  });
}

TEST_CASE("pagestore_full_cache: a database grows while all that is in memory is dirty", "[pagestore_full_cache]") {
  content expected;
  parameters how = small_cache();
  how.growth = 16;
  simulated_disk disk = store_of(expected, how);
  with_full_cache(disk, how, expected, [](instance& store, database d, content& model) -> asio::awaitable<void> {
    const std::uint32_t before = co_await store.pages(d);
    for (unsigned i = 0; i < 20; ++i) {
      const page_no n = co_await one_page(store, d, 50 + i);
      CHECK(model.count({"a.db", n}) == 0);
      model[{"a.db", n}] = payload_of(50 + i);
    }
    const std::uint32_t after = co_await store.pages(d);
    CHECK(after > before);
  });
}
