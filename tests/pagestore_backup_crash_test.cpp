#include "support/pagestore_bookkeeping.hpp"
#include "support/sweep.hpp"
#include "support/temp_directory.hpp"

#include "async/task_group.hpp"
#include <contrail/io/simulated_disk.hpp>

#include <catch2/catch.hpp>

#include <chrono>

using namespace pagestore_books;
using contrail::backup_options;
using contrail::backup_report;
using contrail::kind;
using contrail::io::crash_mode;
using contrail::io::simulated_disk;

namespace {

/// What is known of a life when the power fails in it.
struct knowledge {
  explicit knowledge(std::uint64_t seed) : all(seed) {}
  books all;
  lgpos confirmed;             ///< commits up to here were durable
  lgpos recorded;              ///< mark of the last backup that said it is recorded
  std::uint64_t backups = 0;   ///< operations of the disk when the first began
};

parameters store_on_disk(std::mt19937_64& random) {
  parameters how = small_store("/store", random);
  how.circular_logging = false;
  return how;
}

asio::awaitable<void> fill(instance& store, knowledge& k, unsigned transactions) {
  for (unsigned i = 0; i < transactions; ++i) co_await one_transaction(store, k.all);
  const lgpos last = co_await store.roll();   // all before it is durable
  k.confirmed = last;
}

asio::awaitable<void> write_on(instance& store, knowledge& k) {
  while (!k.all.stop) {
    std::exception_ptr failure;
    try {
      co_await one_transaction(store, k.all);
    } catch (const contrail::error& e) {
      if (e.code() != errc::write_conflict && e.code() != errc::page_not_initialized) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, std::chrono::microseconds(50));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> back_up_twice(instance& store, knowledge& k, simulated_disk& disk) {
  std::exception_ptr failure;
  k.backups = disk.operations();
  try {
    for (unsigned i = 0; i < 2; ++i) {
      memory_sink sink;
      backup_options options;
      options.truncate_logs = i == 1;
      options.lanes = 2;
      const backup_report report = co_await contrail::backup(store.backup_engine(), sink, options);
      CHECK_FALSE(report.recorded);
      k.recorded = lgpos{sink.last->info.at.position};
    }
  } catch (...) {
    failure = std::current_exception();
  }
  k.all.stop = true;
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> life(asio::any_io_executor ex, contrail::io::file_system fs, simulated_disk& disk, knowledge& k, parameters how) {
  instance store = co_await instance::open(ex, how, &fs);
  for (const char* name : {"one.db", "two.db"}) {
    const database d = co_await store.create(name);
    k.all.databases.emplace_back(name, d);
  }
  co_await fill(store, k, 70);
  const auto mine = co_await asio::this_coro::executor;
  contrail::detail::task_group group(mine);
  group.spawn(write_on(store, k));
  group.spawn(back_up_twice(store, k, disk));
  co_await group.join();
  co_await store.terminate(term_mode::complete);
}

/// True: it came to its end.
bool live(simulated_disk& disk, knowledge& k, const parameters& how, std::uint64_t fails_after) {
  auto context = std::make_unique<asio::io_context>(1);
  contrail::io::file_system fs = disk.mount(context->get_executor());
  bool over = false;
  bool halted = false;
  std::exception_ptr failure;
  disk.halt_after(fails_after, [&] {
    halted = true;
    context->stop();
  });
  asio::co_spawn(*context, life(context->get_executor(), fs, disk, k, how), [&](std::exception_ptr e) {
    over = true;
    failure = std::move(e);
  });
  context->run_for(std::chrono::seconds(120));
  context.reset();
  if (halted) return false;
  if (failure) std::rethrow_exception(failure);
  if (!over) throw pagestore_world::broken("the store came to a standstill");
  return true;
}

/// After a crash: some state from the last confirmed commit on; no copy's mark in a header; and the next backup is right.
asio::awaitable<void> examine(asio::any_io_executor ex, contrail::io::file_system fs, knowledge& k, parameters how, memory_sink& sink, state& found) {
  instance store = co_await instance::open(ex, how, &fs);
  std::vector<std::pair<std::string, database>> there;
  for (const auto& [name, id] : k.all.databases) {
    const database d = co_await store.attach(name);   // fails with -544 for a header that says "copy"
    there.emplace_back(name, d);
  }
  found = co_await all_pages(store, there);
  const backup_options options;
  const backup_report report = co_await contrail::backup(store.backup_engine(), sink, options);
  CHECK_FALSE(report.recorded);
  CHECK(report.failed_databases.empty());
  const statistics sums = co_await store.counters();
  CHECK(sums.invariants_broken == 0);
  co_await store.terminate(term_mode::complete);
}

bool is_committed(const knowledge& k, const state& found) {
  for (const lgpos end : k.all.ends()) {
    if (end > k.confirmed && k.all.before(end) == found) return true;
  }
  return k.all.newest() == found || k.all.before(k.confirmed) == found;
}

void run_examination(simulated_disk& disk, knowledge& k, const parameters& how, memory_sink& sink, state& found) {
  auto context = std::make_unique<asio::io_context>(1);
  contrail::io::file_system fs = disk.mount(context->get_executor());
  run_on(*context, 1, [&] { return examine(context->get_executor(), fs, k, how, sink, found); });
}

}  // namespace

TEST_CASE("pagestore_backup_crash: the power fails in the middle of a backup: no trace of it, and the next one works", "[pagestore_backup_crash]") {
  std::mt19937_64 shape(5);
  const parameters how = store_on_disk(shape);
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    simulated_disk disk;
    knowledge k(1);
    REQUIRE(live(disk, k, how, std::uint64_t{1} << 60U));
    first = k.backups;
    last = disk.operations();
    CHECK(k.recorded != lgpos{});
  }
  REQUIRE(last > first + 50);
  unsigned crashes = 0;
  unsigned recorded = 0;
  const std::uint64_t step = 2 * sweep::step();
  for (std::uint64_t at = first; at < last; at += step) {
    CAPTURE(at);
    simulated_disk disk;
    knowledge k(1);
    // Other threads' timing is not in it, but that of writers' pauses is: what happens at this place varies.
    if (live(disk, k, how, at)) continue;
    ++crashes;
    disk.crash(at % 3 == 0 ? crash_mode::worst : at % 3 == 1 ? crash_mode::best : crash_mode::seeded, at);
    memory_sink sink;
    state found;
    run_examination(disk, k, how, sink, found);
    CHECK(is_committed(k, found));
    if (k.recorded != lgpos{}) ++recorded;
    temp_directory dir;
    const contrail::recovery work = unpack(*sink.last, dir / "restored");
    asio::io_context context(1);
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      contrail::pagestore_restorer restorer(context.get_executor());
      const std::vector<std::string> kept = co_await restorer.recover(work);
      CHECK(kept.size() == 2);
    });
    const state restored = read_restored(dir / "restored", k.all.databases);
    CHECK(pagestore_world::describe_difference(found, restored) == "; against the last:");
  }
  CHECK(crashes > 0);
  if (sweep::step() == 1) CHECK(recorded > 0);
}
