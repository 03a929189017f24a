#include "support/pagestore_scene.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <catch2/catch.hpp>

#include <fstream>
#include <functional>
#include <numeric>

using namespace contrail::pagestore;
using contrail::backup_options;
using contrail::backup_report;
using contrail::directory_repository;
using contrail::errc;
using contrail::kind;

namespace {

parameters in(const std::filesystem::path& directory) {
  parameters p = pagestore_scene::small_instance(directory);
  p.checkpoint_depth = 256U << 10U;
  return p;
}

void with_store(const parameters& how, const std::function<asio::awaitable<void>(asio::any_io_executor, instance&)>& what) {
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    instance store = co_await instance::open(ex, how);
    co_await what(ex, store);
    co_await store.terminate(term_mode::complete);
  });
}

asio::awaitable<void> put(instance& store, database d, page_no n, std::string text) {
  transaction t = store.begin();
  co_await t.write(d, n, 0, asio::buffer(text));
  const commit_info done = co_await t.commit(durability::lazy);
  static_cast<void>(done);
}

asio::awaitable<page_no> add(instance& store, database d, std::string text) {
  transaction t = store.begin();
  const page_no n = co_await t.allocate(d);
  co_await t.write(d, n, 0, asio::buffer(text));
  const commit_info done = co_await t.commit(durability::lazy);
  static_cast<void>(done);
  co_return n;
}

asio::awaitable<std::string> text_at(instance& store, database d, page_no n, std::size_t bytes) {
  transaction t = store.begin();
  std::string out(bytes, '\0');
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(out));
  out.resize(count);
  co_return out;
}

std::string words(unsigned page, unsigned round) {
  std::string out = "page " + std::to_string(page) + " round " + std::to_string(round) + " ";
  for (unsigned x = page * 31 + round + 1; out.size() < 1500; x = x * 1103515245U + 12345U) out += static_cast<char>('a' + x / 65536U % 26U);
  return out;
}

}  // namespace

TEST_CASE("pagestore_backup: a full backup is restored to the state at the end of its logs", "[pagestore_backup]") {
  temp_directory dir;
  const parameters how = in(dir / "store");
  constexpr unsigned pages = 60;
  std::vector<page_no> numbers;
  backup_report report;
  std::filesystem::create_directories(dir / "store" / "below");
  with_store(how, [&](asio::any_io_executor ex, instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    const database b = co_await store.create("below/b.db");
    for (unsigned i = 0; i < pages; ++i) {
      const database in = i % 2 == 0 ? a : b;
      const page_no n = co_await add(store, in, words(i, 0));
      numbers.push_back(n);
    }
    directory_repository repository(ex, dir / "repo");
    const backup_options options;
    report = co_await contrail::backup(store.backup_engine(), repository, options);
    // What comes later is not in the set.
    for (unsigned i = 0; i < pages; ++i) {
      const database in = i % 2 == 0 ? a : b;
      co_await put(store, in, numbers[i], words(i, 1));
    }
  });
  CHECK(report.engine == "pagestore");
  CHECK(report.failed_databases.empty());
  CHECK_FALSE(report.recorded);
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    directory_repository repository(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    const contrail::restore_report restored = co_await contrail::restore(repository, restorer, dir / "restored");
    CHECK(restored.files == 2);
  });
  with_store(in(dir / "restored"), [&](asio::any_io_executor, instance& store) -> asio::awaitable<void> {
    const database a = co_await store.attach("a.db");
    const database b = co_await store.attach("below/b.db");
    for (unsigned i = 0; i < pages; ++i) {
      const std::string expected = words(i, 0);
      const database in = i % 2 == 0 ? a : b;
      const std::string found = co_await text_at(store, in, numbers[i], expected.size());
      CHECK(found == expected);
    }
  });
}

TEST_CASE("pagestore_backup: the store counts how long pages were kept from its writer", "[pagestore_backup]") {
  temp_directory dir;
  std::uint64_t asked = 0;
  statistics before, after;
  with_store(in(dir / "store"), [&](asio::any_io_executor ex, instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    for (unsigned i = 0; i < 20; ++i) {
      const page_no n = co_await add(store, a, words(i, 0));
      static_cast<void>(n);
    }
    before = co_await store.counters();
    directory_repository repository(ex, dir / "repo");
    contrail::progress seen;
    backup_options options;
    options.reads.hold = contrail::hold_policy::always;
    options.progress = &seen;
    const backup_report report = co_await contrail::backup(store.backup_engine(), repository, options);
    CHECK_FALSE(report.recorded);
    after = co_await store.counters();
    asked = seen.reads.holds;
  });
  const auto sum = [](const statistics& s) { return std::accumulate(s.holds.begin(), s.holds.end(), std::uint64_t{0}); };
  CHECK(sum(before) == 0);
  CHECK(before.longest_hold_us == 0);
  CHECK(asked > 0);
  CHECK(sum(after) == asked);
  // The longest one is in the last group that is not empty.
  std::size_t last = 0;
  for (std::size_t k = 0; k < after.holds.size(); ++k)
    if (after.holds[k] != 0) last = k;
  CHECK((after.longest_hold_us >> last) == 0);
  CHECK((last == 0 || (after.longest_hold_us >> (last - 1)) == 1));
}
