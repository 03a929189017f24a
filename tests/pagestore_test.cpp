#include "support/pagestore_world.hpp"
#include "support/temp_directory.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace contrail::pagestore;
using contrail::errc;

namespace {

parameters in(const std::filesystem::path& directory) {
  parameters p;
  p.directory = directory;
  p.page_size = 4096;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.cache_size = 128;
  p.checkpoint_depth = 256U << 10U;
  p.growth = 16;
  return p;
}

/// Runs with an instance in a real directory.
void with_store(const parameters& how, const std::function<asio::awaitable<void>(instance&)>& what, term_mode end = term_mode::complete) {
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    instance store = co_await instance::open(ex, how);
    co_await what(store);
    co_await store.terminate(end);
  });
}

std::error_code code_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const std::system_error& e) {
    return e.code();
  }
  return {};
}

asio::awaitable<void> put_text(transaction& t, database d, page_no n, std::string text) {
  co_await t.write(d, n, 0, asio::buffer(text));
}
asio::awaitable<std::string> text_of(transaction& t, database d, page_no n, std::size_t bytes) {
  std::string out(bytes, '\0');
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(out));
  out.resize(count);
  co_return out;
}

/// Content that does not get shorter in the log.
std::string pattern(unsigned seed) {
  std::string out;
  for (unsigned x = seed + 1; out.size() < 2000; x = x * 1103515245U + 12345U) out += static_cast<char>('a' + x / 65536U % 26U);
  return out;
}

}  // namespace

TEST_CASE("pagestore: what is committed is there after each kind of end, what is not committed never", "[pagestore]") {
  for (const term_mode end : {term_mode::complete, term_mode::abrupt, term_mode::dirty}) {
    temp_directory dir;
    const parameters how = in(dir / "store");
    page_no n = 0;
    page_no open_page = 0;
    with_store(how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      transaction t = store.begin();
      n = co_await t.allocate(d);
      co_await put_text(t, d, n, "hello");
      const commit_info done = co_await t.commit();
      CHECK(done.at.generation() == 1);
      transaction never = store.begin();
      co_await put_text(never, d, n, "never");
      open_page = co_await never.allocate(d);
      CHECK(open_page != n);
    }, end);
    with_store(how, [&](instance& store) -> asio::awaitable<void> {
      CHECK(store.recovered().ran == (end != term_mode::complete));
      const database d = co_await store.attach("a.db");
      transaction t = store.begin();
      const std::string text = co_await text_of(t, d, n, 5);
      CHECK(text == "hello");
      const page_no again = co_await t.allocate(d);
      CHECK(again == open_page);
    });
  }
}

TEST_CASE("pagestore: a transaction sees its own writes, others see them when it commits", "[pagestore]") {
  temp_directory dir;
  with_store(in(dir / "store"), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    transaction t = store.begin();
    const page_no n = co_await t.allocate(d);
    co_await put_text(t, d, n, "one");
    const commit_info first = co_await t.commit();
    static_cast<void>(first);
    transaction writer = store.begin();
    transaction reader = store.begin();
    co_await put_text(writer, d, n, "two");
    const std::string own = co_await text_of(writer, d, n, 3);
    const std::string others = co_await text_of(reader, d, n, 3);
    CHECK(own == "two");
    CHECK(others == "one");
    // The page is the writer's; and for who has read it, it is another one afterwards.
    std::error_code conflict;
    try {
      co_await put_text(reader, d, n, "xxx");
    } catch (const contrail::error& e) {
      conflict = e.code();
    }
    CHECK(conflict == errc::write_conflict);
    const commit_info second = co_await writer.commit();
    CHECK(second.at > first.at);
    const std::string after = co_await text_of(reader, d, n, 3);
    CHECK(after == "two");
    conflict.clear();
    try {
      co_await put_text(reader, d, n, "xxx");
    } catch (const contrail::error& e) {
      conflict = e.code();
    }
    CHECK(conflict == errc::write_conflict);
    const statistics sums = co_await store.counters();
    CHECK(sums.conflicts == 2);
    CHECK(sums.commits == 2);
    CHECK(sums.invariants_broken == 0);
  });
}

TEST_CASE("pagestore: rollback gives pages back, free ones are refused", "[pagestore]") {
  temp_directory dir;
  with_store(in(dir / "store"), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    page_no n = 0;
    {
      transaction t = store.begin();
      n = co_await t.allocate(d);
      co_await put_text(t, d, n, "gone");
    }
    transaction t = store.begin();
    std::error_code code;
    try {
      const std::string text = co_await text_of(t, d, n, 4);
    } catch (const contrail::error& e) {
      code = e.code();
    }
    CHECK(code == errc::page_not_initialized);
    const page_no again = co_await t.allocate(d);
    CHECK(again == n);
    const commit_info done = co_await t.commit();
    static_cast<void>(done);
    transaction freeing = store.begin();
    co_await freeing.free(d, n);
    const commit_info freed = co_await freeing.commit();
    static_cast<void>(freed);
    transaction look = store.begin();
    code.clear();
    try {
      const std::string text = co_await text_of(look, d, n, 4);
    } catch (const contrail::error& e) {
      code = e.code();
    }
    CHECK(code == errc::page_not_initialized);
  });
}

TEST_CASE("pagestore: many pages and transactions, more than the cache and several logs", "[pagestore]") {
  temp_directory dir;
  const parameters how = in(dir / "store");
  constexpr unsigned count = 400;
  std::vector<page_no> pages;
  with_store(how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    for (unsigned i = 0; i < count; ++i) {
      transaction t = store.begin();
      const page_no n = co_await t.allocate(d);
      pages.push_back(n);
      co_await put_text(t, d, n, "page " + std::to_string(i) + ": " + pattern(i));
      const bool last = i + 1 == count;   // what is lazy after the last durable commit may be lost
      const durability how_sure = i % 4 == 0 || last ? durability::durable : durability::lazy;
      const commit_info done = co_await t.commit(how_sure);
      static_cast<void>(done);
    }
    const statistics sums = co_await store.counters();
    CHECK(sums.rolls > 3);
    CHECK(sums.rounds > 1);
    CHECK(sums.pages_written > 200);
    CHECK(sums.invariants_broken == 0);
  }, term_mode::abrupt);
  with_store(how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.attach("a.db");
    transaction t = store.begin();
    for (unsigned i = 0; i < count; ++i) {
      const std::string expected = "page " + std::to_string(i) + ": " + pattern(i);
      const std::string text = co_await text_of(t, d, pages[i], expected.size());
      CHECK(text == expected);
    }
  });
}

TEST_CASE("pagestore: a second instance is kept out", "[pagestore]") {
  temp_directory dir;
  const parameters how = in(dir / "store");
  with_store(how, [&](instance&) -> asio::awaitable<void> {
    CHECK(code_of([&] { with_store(how, [](instance&) -> asio::awaitable<void> { co_return; }); }) == errc::file_access_denied);
    co_return;
  });
  with_store(how, [](instance&) -> asio::awaitable<void> { co_return; });
}
