#include "support/pagestore_scene.hpp"
#include "support/temp_directory.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace pagestore_scene;

namespace {

/// A second name for a file, where links are possible.
bool links(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code ec;
  std::filesystem::create_hard_link(from, to, ec);
  if (ec) WARN("skipped: no hard links here: " + ec.message());
  return !ec;
}

parameters in_directory(const std::filesystem::path& directory) {
  parameters how = small_instance(directory);
  how.checkpoint_depth = 8U << 20U;   // no round but those that are asked for
  return how;
}

}  // namespace

TEST_CASE("pagestore_names: a file that gets another name has one history, which a crash does not divide", "[pagestore_names]") {
  // Before and behind the old one in the order of names.
  for (const char* const other : {"a.db", "z.db"}) {
    INFO(other);
    const temp_directory dir;
    const parameters how = in_directory(dir.path());
    bool linked = false;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      std::vector<page_no> pages;
      {
        instance store = co_await instance::open(ex, how);
        database d = co_await store.create("m.db");
        for (unsigned i = 0; i < 10; ++i) {
          const page_no n = co_await one_page(store, d, i);
          pages.push_back(n);
        }
        co_await store.checkpoint();
        for (const page_no n : pages) co_await overwrite(store, d, n, 100 + n);
        co_await store.detach(d);
        linked = links(dir / "m.db", dir / other);
        if (!linked) co_return;
        d = co_await store.attach(other);
        for (const page_no n : pages) co_await overwrite(store, d, n, 200 + n);
        co_await store.terminate(term_mode::dirty);
      }
      instance store = co_await instance::open(ex, how);
      const database d = co_await store.attach(other);
      for (const page_no n : pages) {
        const bool last = co_await holds(store, d, n, 200 + n);
        CHECK(last);
      }
      const database same = co_await store.attach(other);
      CHECK(same == d);
      co_await store.terminate();
    });
    if (!linked) return;
  }
}

TEST_CASE("pagestore_names: a file that comes and goes by two names is recovered, and used on", "[pagestore_names]") {
  const temp_directory dir;
  const parameters how = in_directory(dir.path());
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    page_no n = 0, m = 0;
    {
      instance store = co_await instance::open(ex, how);
      database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 1);
      m = co_await one_page(store, d, 2);
      co_await store.detach(d);
      if (!links(dir / "a.db", dir / "b.db")) co_return;
      for (unsigned i = 0; i < 4; ++i) {
        const char* const name = i % 2 == 0 ? "a.db" : "b.db";
        const char* const other = i % 2 == 0 ? "b.db" : "a.db";
        d = co_await store.attach(name);
        co_await overwrite(store, d, n, 10 + i);
        // While it is in use it is by this name alone.
        const std::error_code twice = co_await code_of(dropped(store.attach(other)));
        CHECK(twice == errc::file_access_denied);
        co_await store.detach(d);
      }
      d = co_await store.attach("a.db");
      for (unsigned i = 0; i < 30; ++i) co_await overwrite(store, d, m, 100 + i);
      co_await store.terminate(term_mode::dirty);
    }
    instance store = co_await instance::open(ex, how);
    const database d = co_await store.attach("a.db");
    const bool first = co_await holds(store, d, n, 13);
    CHECK(first);
    const bool second = co_await holds(store, d, m, 129);
    CHECK(second);
    co_await overwrite(store, d, m, 200);
    co_await store.terminate();
    instance again = co_await instance::open(ex, how);
    CHECK_FALSE(again.recovered().ran);
    const database b = co_await again.attach("b.db");
    const bool third = co_await holds(again, b, m, 200);
    CHECK(third);
    co_await again.terminate();
  });
}
