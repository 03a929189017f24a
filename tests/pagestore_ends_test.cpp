#include "support/pagestore_scene.hpp"
#include "support/sweep.hpp"

#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <algorithm>

using namespace pagestore_scene;
using contrail::io::crash_mode;
using contrail::io::disk_fault;
using contrail::io::disk_request;

namespace {

/// Lazy commits wait for whoever makes them durable.
parameters patient_instance() {
  parameters how = small_instance();
  how.lazy_delay = std::chrono::milliseconds(10000);
  return how;
}

struct attempt {
  attempt() = default;
  std::error_code code;
  bool over = false;
};
asio::awaitable<void> told(asio::awaitable<void> work, attempt& out) {
  out.code = co_await code_of(std::move(work));
  out.over = true;
}
void beside(asio::any_io_executor ex, asio::awaitable<void> work) {
  asio::co_spawn(ex, std::move(work), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
}
asio::awaitable<void> turns(asio::any_io_executor ex, unsigned count) {
  for (unsigned i = 0; i < count; ++i) co_await asio::post(ex, asio::use_awaitable);
}
asio::awaitable<void> until_over(asio::any_io_executor ex, const attempt& one) {
  while (!one.over) co_await turns(ex, 1);
}

bool has_failed(const simulated_disk& disk) {
  const std::vector<contrail::io::disk_event> log = disk.log();
  return std::any_of(log.begin(), log.end(), [](const contrail::io::disk_event& e) { return e.what == disk_request::sync && e.error; });
}

/// What an instance may be busy with when it is ended.
enum class busy : std::uint8_t { nothing, checkpoint, own_round, detach };
const char* name_of(busy what) {
  switch (what) {
    case busy::nothing: return "nothing";
    case busy::checkpoint: return "checkpoint";
    case busy::own_round: return "a round of its own";
    case busy::detach: return "detach";
  }
  return "?";
}

struct cut {
  cut() = default;
  page_no n = 0;
  std::error_code end;
  std::error_code work;   ///< of what it was busy with
};

/// Ends it abruptly, when so many turns of the event loop have passed since the work began, with a lazy commit just made.
asio::awaitable<void> end_in_work(asio::any_io_executor ex, contrail::io::file_system fs, parameters how, busy what, unsigned wait, cut& out) {
  instance store = co_await instance::open(ex, how, &fs);
  const database d = co_await store.create("a.db");
  const database b = co_await store.create("b.db");
  out.n = co_await one_page(store, d, 1);
  for (unsigned i = 0; i < 12; ++i) co_await dropped(one_page(store, b, 2 + i));
  attempt work;
  if (what == busy::checkpoint) beside(ex, told(store.checkpoint(), work));
  else if (what == busy::detach) beside(ex, told(store.detach(b), work));
  else work.over = true;
  if (what == busy::own_round) {
    // Beyond half of what may lie behind the checkpoint.
    for (unsigned i = 0; i < 14; ++i) co_await overwrite(store, d, out.n, 5 + 5 * i, durability::lazy);
  }
  co_await turns(ex, wait);
  co_await overwrite(store, d, out.n, 1001, durability::lazy);
  out.end = co_await code_of(store.terminate(term_mode::abrupt));
  co_await until_over(ex, work);
  out.work = work.code;
}

/// Turns of the loop between the places that are tried: each, or some where all sweeps go to some.
unsigned each_turn() { return static_cast<unsigned>(std::min<std::uint64_t>(sweep::step(), 5)); }

}  // namespace

TEST_CASE("pagestore_ends: an abrupt end keeps what was committed, whatever the instance is busy with", "[pagestore_ends]") {
  for (const busy what : {busy::nothing, busy::checkpoint, busy::own_round, busy::detach}) {
    unsigned ended = 0;
    for (unsigned wait = 0; wait < 70; wait += each_turn()) {
      INFO(name_of(what) << ", after " << wait << " turns");
      simulated_disk disk;
      parameters how = patient_instance();
      if (what == busy::own_round) how.checkpoint_depth = how.log_file_size;
      cut one;
      run_bounded([&](asio::any_io_executor ex) { return end_in_work(ex, disk.mount(ex), how, what, wait, one); });
      CHECK(one.end == std::error_code());
      if (one.work) ++ended;
      disk.crash(crash_mode::worst);
      content expected = of_page(one.n, 1001);
      const finding found = look(disk, how, expected, false);
      CHECK(found.words() == "");
    }
    INFO(name_of(what));
    const bool has_call = what == busy::checkpoint || what == busy::detach;
    if (has_call) CHECK(ended * each_turn() > 10);
  }
}

TEST_CASE("pagestore_ends: an end tells that the log had failed when nobody has heard of it", "[pagestore_ends]") {
  for (const term_mode mode : {term_mode::complete, term_mode::stop_backup, term_mode::abrupt, term_mode::dirty}) {
    for (const bool before : {false, true}) {
      INFO("mode " << static_cast<int>(mode) << ", failed before the end: " << before);
      simulated_disk disk;
      page_no n = 0;
      std::error_code end;
      run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
        contrail::io::file_system fs = disk.mount(ex);
        const parameters how = before ? small_instance() : patient_instance();
        instance store = co_await instance::open(ex, how, &fs);
        const database d = co_await store.create("a.db");
        n = co_await one_page(store, d, 1);
        disk_fault fault;
        fault.what = disk_request::sync;
        fault.path = "edb.log";
        disk.add(fault);
        co_await overwrite(store, d, n, 2, durability::lazy);
        while (before && !has_failed(disk)) co_await turns(ex, 1);
        const unsigned more = before ? 20 : 0;
        co_await turns(ex, more);
        end = co_await code_of(store.terminate(mode));
        // All is let go of: it can be opened at once, and has ended for good.
        const std::error_code twice = co_await code_of(store.terminate(mode));
        CHECK(twice == std::error_code());
      });
      CHECK(disk.open_files() == 0);
      CHECK(disk.held_locks() == 0);
      if (mode == term_mode::dirty) CHECK(end == std::error_code());
      else CHECK((end == errc::instance_unavailable || end == errc::log_write_fail));
      disk.clear_faults();
      disk.crash(crash_mode::worst);
      const finding found = look(disk, small_instance(), of_page(n, 1), true);
      CHECK(found.words() == "");
    }
  }
}

TEST_CASE("pagestore_ends: an end does not tell what a call has told", "[pagestore_ends]") {
  enum class by : std::uint8_t { commit, make_durable, later_call };
  for (const term_mode mode : {term_mode::complete, term_mode::abrupt}) {
    for (const by call : {by::commit, by::make_durable, by::later_call}) {
      INFO("mode " << static_cast<int>(mode) << ", call " << static_cast<int>(call));
      simulated_disk disk;
      run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
        contrail::io::file_system fs = disk.mount(ex);
        const parameters how = call == by::later_call ? small_instance() : patient_instance();
        instance store = co_await instance::open(ex, how, &fs);
        const database d = co_await store.create("a.db");
        const page_no n = co_await one_page(store, d, 1);
        disk_fault fault;
        fault.what = disk_request::sync;
        fault.path = "edb.log";
        disk.add(fault);
        std::error_code said;
        if (call == by::commit) {
          said = co_await code_of(overwrite(store, d, n, 2));
          CHECK(said == errc::log_write_fail);
        } else {
          transaction t = store.begin();
          const std::string bytes = payload_of(2);
          co_await t.write(d, n, 0, asio::buffer(bytes));
          const commit_info made = co_await t.commit(durability::lazy);
          if (call == by::make_durable) {
            said = co_await code_of(store.make_durable(made.at));
            CHECK(said == errc::log_write_fail);
          } else {
            while (!has_failed(disk)) co_await turns(ex, 1);
            co_await turns(ex, 20);
            said = co_await code_of(overwrite(store, d, n, 3));
            CHECK(said == errc::instance_unavailable);
          }
        }
        const std::error_code end = co_await code_of(store.terminate(mode));
        CHECK(end == std::error_code());
      });
    }
  }
}

TEST_CASE("pagestore_ends: a round that fails while nobody asks is told at the end", "[pagestore_ends]") {
  for (const term_mode mode : {term_mode::complete, term_mode::abrupt, term_mode::dirty}) {
    INFO("mode " << static_cast<int>(mode));
    simulated_disk disk;
    parameters how = patient_instance();
    how.checkpoint_depth = how.log_file_size;
    constexpr unsigned last = 16;   // beyond half of the depth
    page_no n = 0;
    std::error_code end;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, how, &fs);
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      disk_fault fault;
      fault.what = disk_request::sync;
      fault.path = "a.db";
      disk.add(fault);
      for (unsigned i = 1; i <= last; ++i) co_await overwrite(store, d, n, 5 + 5 * i, durability::lazy);
      while (!has_failed(disk)) co_await turns(ex, 1);
      co_await turns(ex, 20);
      end = co_await code_of(store.terminate(mode));
    });
    if (mode == term_mode::dirty) CHECK(end == std::error_code());
    else CHECK(end == errc::instance_unavailable);
    disk.crash(crash_mode::worst);
    // What was durable, or a later one.
    unsigned matches = 0;
    for (unsigned i = 0; i <= last; ++i) {
      simulated_disk copy = disk.after_crash(crash_mode::best);
      const finding found = look(copy, how, of_page(n, 5 + 5 * i), false);
      CHECK(found.failures.empty());
      if (found.exact()) ++matches;
    }
    CHECK(matches == 1);
  }
}

TEST_CASE("pagestore_ends: a transaction that commits beside the end is in the database as a whole, or not at all", "[pagestore_ends]") {
  constexpr unsigned pages = 6;
  unsigned committed = 0, cut_off = 0;
  for (unsigned wait = 0; wait < 60; wait += each_turn()) {
    INFO("after " << wait << " turns");
    simulated_disk disk;
    const parameters how = patient_instance();
    content expected;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, how, &fs);
      const database d = co_await store.create("a.db");
      for (unsigned i = 0; i < pages; ++i) {
        const page_no n = co_await one_page(store, d, i);
        expected[{"a.db", n}] = payload_of(i);
      }
      co_await store.terminate();
    });
    content freed = expected;
    std::error_code said;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, how, &fs);
      const database d = co_await store.attach("a.db");
      transaction t = store.begin();
      // The commit has to read the map of pages, and is ended meanwhile.
      for (unsigned i = 0; i + 1 < pages; ++i) {
        const page_no n = freed.begin()->first.second;
        co_await t.free(d, n);
        freed.erase(freed.begin());
      }
      attempt work;
      beside(ex, told(commit_of(t), work));
      co_await turns(ex, wait);
      co_await store.terminate();
      co_await until_over(ex, work);
      said = work.code;
    });
    if (said) ++cut_off;
    else ++committed;
    if (said) CHECK((said == errc::term_in_progress || said == errc::instance_unavailable || said == errc::invalid_parameter));
    const finding found = look(disk, how, said ? expected : freed, true);
    CHECK(found.words() == "");
  }
  CHECK(committed > 0);
  CHECK(cut_off > 0);
}

namespace {

struct crowd {
  crowd() = default;
  unsigned going = 0;
};
asio::awaitable<void> count(instance& store, crowd& all) {
  const std::error_code code = co_await code_of(dropped(store.counters()));
  --all.going;
  CHECK((!code || code == errc::term_in_progress || code == errc::instance_unavailable || code == errc::not_initialized));
}

}  // namespace

TEST_CASE("pagestore_ends: counters may be asked for beside the end", "[pagestore_ends]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    contrail::io::disk_options options;
    options.seed = seed;
    simulated_disk disk(options);
    unsigned asked = 0;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, patient_instance(), &fs);
      attempt end;
      crowd all;
      beside(ex, told(store.terminate(), end));
      while (!end.over) {
        ++all.going;
        ++asked;
        beside(ex, count(store, all));
        co_await turns(ex, 1);
      }
      while (all.going != 0) co_await turns(ex, 1);
      CHECK(end.code == std::error_code());
    });
    CHECK(asked > 10);
  }
}
