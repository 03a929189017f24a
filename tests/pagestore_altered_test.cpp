#include "support/pagestore_scene.hpp"

#include <catch2/catch.hpp>

using namespace pagestore_scene;

TEST_CASE("pagestore_altered: a map that has become zeros gives no page away", "[pagestore_altered]") {
  simulated_disk disk;
  parameters how = small_instance();
  how.growth = 32768;
  constexpr page_no second_map = 1 + 8 * (4096 - 64);
  static_assert(second_map < 32768);
  page_no far_page = 0;
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &fs);
    const database d = co_await store.create("a.db");
    {
      transaction t = store.begin();
      far_page = co_await t.allocate(d, second_map);
      co_await commit_of(t);
    }
    co_await overwrite(store, d, far_page, 5);
    co_await store.terminate();
  });
  REQUIRE(far_page == second_map + 1);   // the map itself is nobody's, from the first on
  std::string bytes = disk.read_file("/store/a.db");
  bytes.replace((second_map + 1) * 4096, 4096, 4096, '\0');
  disk.write_file("/store/a.db", bytes);
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &fs);
    const database d = co_await store.attach("a.db");
    const bool there = co_await holds(store, d, far_page, 5);
    CHECK(there);
    transaction t = store.begin();
    const std::error_code code = co_await code_of(dropped(t.allocate(d, second_map)));
    CHECK(code == errc::read_verify_failure);
    t.rollback();
    co_await store.terminate();
  });
}

namespace {

/// A store on a disk with two pages that are on the disk and no longer in its memory.
struct running {
  running() = default;
  simulated_disk disk;
  parameters how = small_instance();
  instance store;
  database d;
  std::vector<page_no> pages;
};

asio::awaitable<void> many_pages(running& r, unsigned count, std::uint64_t stamp) {
  for (unsigned i = 0; i < count; ++i) {
    const page_no n = co_await one_page(r.store, r.d, stamp + i);
    r.pages.push_back(n);
  }
}

std::size_t place_of(page_no n) { return (std::size_t{n} + 1) * 4096; }

}  // namespace

TEST_CASE("pagestore_altered: a page that is changed under a running store is named, and the store lives", "[pagestore_altered]") {
  struct kind {
    const char* what;
    errc code;
  };
  for (const kind& one : {kind{"a bit", errc::read_verify_failure}, kind{"another page", errc::page_number_mismatch}, kind{"zeros", errc::read_verify_failure}}) {
    running r;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = r.disk.mount(ex);
      r.store = co_await instance::open(ex, r.how, &fs);
      r.d = co_await r.store.create("a.db");
      co_await many_pages(r, 100, 1000);
      co_await r.store.checkpoint();   // written and synced
      for (unsigned i = 1; i < 100; ++i) {
        const bool there = co_await holds(r.store, r.d, r.pages[i], 1000 + i);
        CHECK(there);
      }
      std::string bytes = r.disk.read_file("/store/a.db");
      const std::size_t at = place_of(r.pages[0]);
      const std::string what = one.what;
      if (what == "a bit") bytes[at + 777] = static_cast<char>(bytes[at + 777] ^ 4);
      else if (what == "another page") bytes.replace(at, 4096, bytes, place_of(r.pages[1]), 4096);
      else bytes.replace(at, 4096, 4096, '\0');
      r.disk.write_file("/store/a.db", bytes);
      for (unsigned again = 0; again < 2; ++again) {
        std::string text;
        try {
          const bool there = co_await holds(r.store, r.d, r.pages[0], 1000);
          CHECK_FALSE(there);
        } catch (const contrail::error& e) {
          text = e.what();
          CHECK(e.code() == one.code);
          CHECK(is_path_of(e.details().file, "a.db"));
          CHECK(e.details().offset == at);
          CHECK_FALSE(e.details().found.empty());
        }
        INFO(what << ": " << text);
        CHECK_FALSE(text.empty());
      }
      // To build on it is refused as well; all else goes on, to a clean end.
      const std::error_code built_on = co_await code_of(overwrite(r.store, r.d, r.pages[0], 1));
      CHECK(built_on == one.code);
      co_await overwrite(r.store, r.d, r.pages[1], 2);
      const bool there = co_await holds(r.store, r.d, r.pages[1], 2);
      CHECK(there);
      co_await r.store.checkpoint();
      co_await r.store.terminate();
    });
  }
}

TEST_CASE("pagestore_altered: a write that the system has dropped is seen, and stops the store; the log has it", "[pagestore_altered]") {
  for (const bool blank : {false, true}) {
    running r;
    r.how.checkpoint_depth = 1U << 26U;   // no round comes between
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = r.disk.mount(ex);
      r.store = co_await instance::open(ex, r.how, &fs);
      r.d = co_await r.store.create("a.db");
      co_await many_pages(r, 100, 1000);
      co_await r.store.checkpoint();
      const std::string before = r.disk.read_file("/store/a.db");
      for (unsigned i = 0; i < 100; ++i) co_await overwrite(r.store, r.d, r.pages[i], 2000 + i);
      const std::string after = r.disk.read_file("/store/a.db");
      // What left the memory for the cache's bound was written and not synced; the disk forgets it.
      const std::size_t at = place_of(r.pages[0]);
      CHECK(before.substr(at, 4096) != after.substr(at, 4096));
      std::string forgotten = after;
      if (blank) forgotten.replace(at, 4096, 4096, '\0');
      else forgotten.replace(at, 4096, before, at, 4096);
      r.disk.write_file("/store/a.db", forgotten);
      std::string text;
      try {
        const bool there = co_await holds(r.store, r.d, r.pages[0], 2000);
        CHECK_FALSE(there);
      } catch (const contrail::error& e) {
        text = e.what();
        CHECK(e.code() == errc::lost_flush);
        CHECK(is_path_of(e.details().file, "a.db"));
        CHECK(e.details().offset == at);
      }
      INFO(text);
      CHECK_FALSE(text.empty());
      const std::error_code later = co_await code_of(overwrite(r.store, r.d, r.pages[1], 1));
      CHECK(later == errc::instance_unavailable);
      const std::error_code reading = co_await code_of(dropped(holds(r.store, r.d, r.pages[1], 1)));
      CHECK(reading == errc::instance_unavailable);
      co_await r.store.terminate(term_mode::abrupt);
    });
    content expected;
    for (unsigned i = 0; i < 100; ++i) expected[{"a.db", r.pages[i]}] = payload_of(2000 + i);
    const finding found = look(r.disk, r.how, expected, true);
    CHECK(found.words() == "");
  }
}
