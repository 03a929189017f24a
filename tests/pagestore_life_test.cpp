#include "support/pagestore_scene.hpp"

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

using namespace pagestore_scene;
using contrail::io::crash_mode;

namespace {

asio::awaitable<std::error_code> refusal_of(asio::any_io_executor ex, contrail::io::file_system fs, parameters how) {
  std::error_code out;
  try {
    instance second = co_await instance::open(ex, how, &fs);
    co_await second.terminate();
  } catch (const contrail::error& e) {
    out = e.code();
  }
  co_return out;
}

}  // namespace

TEST_CASE("pagestore_life: a service that stops takes nothing new, and what runs may end", "[pagestore_life]") {
  simulated_disk disk;
  const parameters how = small_instance();
  page_no n = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database other = co_await store.create("other.db");
    co_await store.detach(other);
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 1);
    transaction runs = store.begin();
    transaction reads = store.begin();
    const std::string bytes = payload_of(2);
    co_await runs.write(d, n, 0, asio::buffer(bytes));
    store.stop_service();
    std::error_code begun;
    try {
      const transaction t = store.begin();
    } catch (const contrail::error& e) {
      begun = e.code();
    }
    CHECK(begun == errc::client_request_to_stop_service);
    const std::error_code created = co_await code_of(dropped(store.create("b.db")));
    CHECK(created == errc::client_request_to_stop_service);
    const std::error_code attached = co_await code_of(dropped(store.attach("other.db")));
    CHECK(attached == errc::client_request_to_stop_service);
    // What has begun goes on, also with what it has not touched before.
    const std::string before = co_await payload_at(reads, d, n);
    CHECK(before == payload_of(1));
    const page_no more = co_await runs.allocate(d);
    CHECK(more != n);
    co_await runs.free(d, more);
    co_await commit_of(runs);
    reads.rollback();
    co_await store.checkpoint();
    co_await dropped(store.roll());
    store.stop_service();   // twice is fine
    co_await store.detach(d);
    co_await store.terminate();
  });
  CHECK_FALSE(disk.exists("/store/b.db"));
  const finding found = look(disk, how, of_page("a.db", n, 2), true);
  CHECK(found.words() == "");
}

namespace {

struct writing {
  writing() = default;
  instance store;
  database d;
  std::vector<page_no> pages;
  std::vector<std::uint64_t> confirmed;   ///< the last stamp of each page
  std::vector<std::uint64_t> tried;
  std::vector<std::error_code> ended;
  unsigned left = 0;
};

asio::awaitable<void> write_for_ever(writing& w, std::size_t i) {
  while (true) {
    const std::uint64_t stamp = w.confirmed[i] + 10;
    w.tried[i] = stamp;
    co_await overwrite(w.store, w.d, w.pages[i], stamp);
    w.confirmed[i] = stamp;
  }
}

}  // namespace

TEST_CASE("pagestore_life: an end under load: each call ends, what was confirmed is there", "[pagestore_life]") {
  for (const term_mode mode : {term_mode::complete, term_mode::abrupt, term_mode::dirty}) {
    for (unsigned turns = 1; turns < 60; turns += 9) {
      simulated_disk disk;
      const parameters how = small_instance();
      constexpr std::size_t writers = 5;
      writing w;
      run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
        contrail::io::file_system fs = disk.mount(ex);
        w.store = co_await instance::open(ex, how, &fs);
        w.d = co_await w.store.create("a.db");
        for (std::size_t i = 0; i < writers; ++i) {
          const page_no n = co_await one_page(w.store, w.d, 100 + i);
          w.pages.push_back(n);
          w.confirmed.push_back(100 + i);
        }
        w.tried = w.confirmed;
        w.ended.resize(writers);
        w.left = writers;
        for (std::size_t i = 0; i < writers; ++i) {
          auto ended = [&w, i](std::exception_ptr e) {
            --w.left;
            try {
              if (e) std::rethrow_exception(e);
            } catch (const std::system_error& failed) {
              w.ended[i] = failed.code();
            }
          };
          asio::co_spawn(ex, write_for_ever(w, i), std::move(ended));
        }
        asio::steady_timer pause(ex);
        for (unsigned i = 0; i < turns; ++i) {
          pause.expires_after(std::chrono::microseconds(100));
          co_await pause.async_wait(asio::use_awaitable);
        }
        co_await w.store.terminate(mode);
        co_await w.store.terminate(term_mode::complete);   // twice is fine
        while (w.left != 0) {
          pause.expires_after(std::chrono::microseconds(100));
          co_await pause.async_wait(asio::use_awaitable);
        }
      });
      for (const std::error_code code : w.ended) {
        INFO(code.message());
        const bool known = code == errc::term_in_progress || (mode != term_mode::complete && code == errc::instance_unavailable);
        CHECK(known);
      }
      CHECK(disk.open_files() == 0);
      CHECK(disk.held_locks() == 0);
      disk.crash(crash_mode::worst);
      on(disk, how, [&](instance& store) -> asio::awaitable<void> {
        if (mode == term_mode::complete) CHECK_FALSE(store.recovered().ran);
        const database d = co_await store.attach("a.db");
        for (std::size_t i = 0; i < writers; ++i) {
          const bool last = co_await holds(store, d, w.pages[i], w.confirmed[i]);
          const bool next = co_await holds(store, d, w.pages[i], w.tried[i]);
          const bool either = last || next;
          CHECK(either);
        }
      });
    }
  }
}

TEST_CASE("pagestore_life: after its end an instance and its transactions say so", "[pagestore_life]") {
  simulated_disk disk;
  on(disk, small_instance(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 1);
    transaction t = store.begin();
    const std::string bytes = payload_of(2);
    co_await t.write(d, n, 0, asio::buffer(bytes));
    co_await store.terminate();
    const std::error_code committed = co_await code_of(commit_of(t));
    CHECK(committed == errc::term_in_progress);
    const std::error_code read = co_await code_of(dropped(payload_at(t, d, n)));
    CHECK(read == errc::term_in_progress);
    t.rollback();
    const std::error_code rolled = co_await code_of(dropped(store.roll()));
    CHECK(rolled == errc::term_in_progress);
    const std::error_code checked = co_await code_of(store.checkpoint());
    CHECK(checked == errc::term_in_progress);
    const std::error_code attached = co_await code_of(dropped(store.attach("a.db")));
    CHECK(attached == errc::term_in_progress);
    const std::error_code let_go = co_await code_of(store.detach(d));
    CHECK(let_go == errc::term_in_progress);
    store.stop_service();
    instance none;
    const std::error_code nothing = co_await code_of(dropped(none.roll()));
    CHECK(nothing == errc::not_initialized);
    co_await none.terminate();
  });
}

TEST_CASE("pagestore_life: several instances of one base name live side by side, and one by one are killed", "[pagestore_life]") {
  simulated_disk disk;
  constexpr unsigned many = 4;
  std::vector<page_no> pages(many);
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    std::vector<instance> stores(many);
    std::vector<database> in(many);
    for (unsigned i = 0; i < many; ++i) {
      const parameters how = small_instance("/store" + std::to_string(i));
      stores[i] = co_await instance::open(ex, how, &fs);
      in[i] = co_await stores[i].create("a.db");
      pages[i] = co_await one_page(stores[i], in[i], 10 + i);
    }
    for (unsigned round = 0; round < 30; ++round) {
      for (unsigned i = 0; i < many; ++i) co_await overwrite(stores[i], in[i], pages[i], 1000 * (i + 1) + 5 * round);
    }
    for (unsigned i = 0; i < many; ++i) {
      const std::error_code twice = co_await refusal_of(ex, fs, small_instance("/store" + std::to_string(i)));
      CHECK(twice == errc::file_access_denied);
      const term_mode end = i % 2 == 0 ? term_mode::complete : term_mode::dirty;
      co_await stores[i].terminate(end);
    }
  });
  disk.crash(crash_mode::worst);
  for (unsigned i = 0; i < many; ++i) {
    const finding found = look(disk, small_instance("/store" + std::to_string(i)), of_page("a.db", pages[i], 1000 * (i + 1) + 5 * 29), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_life: two instances do not share logs or a checkpoint", "[pagestore_life]") {
  for (const bool first_in_its_own : {false, true}) {
    simulated_disk disk;
    parameters how = small_instance("/one");
    if (!first_in_its_own) how.log_directory = how.checkpoint_directory = "/logs";
    page_no n = 0;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, how, &fs);
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 1);
      parameters second = small_instance("/two");
      second.log_directory = first_in_its_own ? "/one" : "/logs";
      const std::error_code same_logs = co_await refusal_of(ex, fs, second);
      CHECK(same_logs == errc::file_access_denied);
      parameters third = small_instance("/three");
      third.checkpoint_directory = first_in_its_own ? "/one" : "/logs";
      const std::error_code same_checkpoint = co_await refusal_of(ex, fs, third);
      CHECK(same_checkpoint == errc::file_access_denied);
      // Another base name is another set of files.
      parameters fourth = small_instance("/four");
      fourth.base_name = "xyz";
      fourth.log_directory = fourth.checkpoint_directory = second.log_directory;
      const std::error_code other_name = co_await refusal_of(ex, fs, fourth);
      CHECK(other_name == std::error_code());
      co_await overwrite(store, d, n, 2);
      co_await store.terminate(term_mode::dirty);
    });
    disk.crash(crash_mode::worst);
    const finding found = look(disk, how, of_page("a.db", n, 2), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_life: directories of one instance may be one, however it is written", "[pagestore_life]") {
  simulated_disk disk;
  parameters how = small_instance("/one");
  how.log_directory = "/one/../one";
  how.checkpoint_directory = "/one/.";
  page_no n = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 1);
  });
  disk.crash(crash_mode::worst);
  const finding found = look(disk, how, of_page("a.db", n, 1), true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_life: a database moves to another instance and back", "[pagestore_life]") {
  simulated_disk disk;
  const parameters one = small_instance("/one"), two = small_instance("/two");
  const std::string path = "/one/a.db";
  page_no n = 0, stays = 0;
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance first = co_await instance::open(ex, one, &fs);
    instance second = co_await instance::open(ex, two, &fs);
    const database d = co_await first.create("a.db");
    const database b = co_await first.create("b.db");
    n = co_await one_page(first, d, 1);
    stays = co_await one_page(first, b, 7);
    const std::error_code in_use = co_await code_of(dropped(second.attach(path)));
    CHECK(in_use == errc::file_access_denied);
    co_await first.detach(d);
    const database moved = co_await second.attach(path);
    const bool there = co_await holds(second, moved, n, 1);
    CHECK(there);
    for (unsigned i = 0; i < 50; ++i) co_await overwrite(second, moved, n, 10 + 5 * i);
    const std::error_code away = co_await code_of(dropped(first.attach("a.db")));
    CHECK(away == errc::file_access_denied);
    // Both are killed: each recovers what is its own, in any order.
    co_await first.terminate(term_mode::dirty);
    co_await second.terminate(term_mode::dirty);
  });
  disk.crash(crash_mode::worst);
  const finding others = look(disk, one, of_page("b.db", stays, 7), true);
  CHECK(others.words() == "");
  on(disk, one, [&](instance& store) -> asio::awaitable<void> {
    const std::error_code away = co_await code_of(dropped(store.attach("a.db")));
    CHECK(away == errc::database_dirty_shutdown);
  });
  const finding found = look(disk, two, of_page(path, n, 10 + 5 * 49), false);
  CHECK(found.words() == "");
  const finding back = look(disk, one, of_page("a.db", n, 10 + 5 * 49), true);
  CHECK(back.words() == "");
}

TEST_CASE("pagestore_life: a database that is absent at open is told, or passed over, and comes back", "[pagestore_life]") {
  simulated_disk disk;
  parameters how = small_instance();
  page_no n = 0, m = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    const database b = co_await store.create("b.db");
    n = co_await one_page(store, a, 1);
    m = co_await one_page(store, b, 2);
  });
  disk.crash(crash_mode::worst);
  const std::string away = disk.read_file("/store/b.db");
  disk.remove("/store/b.db");
  content both = of_page("a.db", n, 1);
  both[{"b.db", m}] = payload_of(2);
  simulated_disk copy = disk.after_crash(crash_mode::best);
  const finding told = look(copy, how, both, false);
  CHECK(told.wrong == "");
  REQUIRE(told.failures.size() == 1);
  CHECK(told.failures[0].code == errc::attached_database_mismatch);
  CHECK(is_path_of(told.failures[0].file, "b.db"));
  // It comes back before the logs go on: nothing is lost.
  copy.write_file("/store/b.db", away);
  const finding whole = look(copy, how, both, true);
  CHECK(whole.words() == "");
  // Passed over: the other is whole, and this one is never taken for good.
  how.absent = absent_database::skip;
  const finding one = look(disk, how, of_page("a.db", n, 1), true);
  CHECK(one.words() == "");
  disk.write_file("/store/b.db", away);
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const std::error_code code = co_await code_of(dropped(store.attach("b.db")));
    CHECK(code == errc::database_dirty_shutdown);
  });
}

TEST_CASE("pagestore_life: names of databases: long ones, odd ones, one twice", "[pagestore_life]") {
  simulated_disk disk;
  const parameters how = small_instance();
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const std::string longest = "/" + std::string(longest_database_path - 1, 'x');
    const std::error_code too_long = co_await code_of(dropped(store.create(longest + "x")));
    CHECK(too_long == errc::invalid_path);
    const database d = co_await store.create("a.db");
    const database again = co_await store.attach("./a.db");
    CHECK(again == d);
    const database whole_path = co_await store.attach("/store/a.db");
    CHECK(whole_path == d);
    const std::error_code missing = co_await code_of(dropped(store.attach("none.db")));
    CHECK(missing == errc::file_not_found);
    const std::error_code no_directory = co_await code_of(dropped(store.create("none/a.db")));
    CHECK(no_directory == std::errc::no_such_file_or_directory);
    // What failed has taken no place.
    for (unsigned i = 0; i < 5; ++i) {
      const database more = co_await store.create("more" + std::to_string(i) + ".db");
      CHECK(more.id != d.id);
    }
    const std::error_code seventh = co_await code_of(dropped(store.attach("a7.db")));
    CHECK(seventh == errc::invalid_parameter);
  });
}

namespace {

std::uint64_t log_writes(const simulated_disk& disk) {
  std::uint64_t out = 0;
  for (const contrail::io::disk_event& e : disk.log()) {
    const bool changes = e.what == contrail::io::disk_request::write || e.what == contrail::io::disk_request::sync;
    if (changes && e.path.find("edb") != std::string::npos) ++out;
  }
  return out;
}

}  // namespace

TEST_CASE("pagestore_life: without logging a store that ends well is whole", "[pagestore_life]") {
  simulated_disk disk;
  parameters how = small_instance();
  page_no n = 0, m = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {   // killed with logs: they count
    const database a = co_await store.create("a.db");
    n = co_await one_page(store, a, 1);
  });
  disk.crash(crash_mode::worst);
  how.logging = false;
  std::vector<page_no> many;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    CHECK(store.recovered().ran);
    const database a = co_await store.attach("a.db");
    const bool there = co_await holds(store, a, n, 1);
    CHECK(there);
    const database b = co_await store.create("b.db");
    m = co_await one_page(store, b, 2);
    const std::uint64_t before = log_writes(disk);
    const auto files = disk.names("/store");
    for (unsigned i = 1; i <= 100; ++i) {   // more than the cache holds, and than several logs would
      const page_no more = co_await one_page(store, a, 5 * i);
      many.push_back(more);
      co_await overwrite(store, a, n, 1000 + 5 * i);
    }
    co_await dropped(store.roll());
    co_await store.checkpoint();
    CHECK(log_writes(disk) == before);
    CHECK(disk.names("/store") == files);
    const statistics sums = co_await store.counters();
    CHECK(sums.rolls > 3);
    CHECK(sums.rounds > 0);
    CHECK(sums.invariants_broken == 0);
    co_await store.terminate(term_mode::complete);
  });
  disk.crash(crash_mode::worst);
  content expected = of_page("a.db", n, 1500);
  expected[{"b.db", m}] = payload_of(2);
  for (unsigned i = 1; i <= 100; ++i) expected[{"a.db", many[i - 1]}] = payload_of(5 * i);
  simulated_disk copy = disk.after_crash(crash_mode::best);
  const finding again = look(copy, how, expected, true);
  CHECK(again.words() == "");
  how.logging = true;
  const finding logged = look(disk, how, expected, true);
  CHECK(logged.words() == "");
}

TEST_CASE("pagestore_life: without logging what was in use when it was killed is refused, all else is whole", "[pagestore_life]") {
  for (const term_mode end : {term_mode::abrupt, term_mode::dirty}) {
    simulated_disk disk;
    parameters how = small_instance();
    how.logging = false;
    page_no n = 0, m = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database a = co_await store.create("a.db");
      const database b = co_await store.create("b.db");
      n = co_await one_page(store, a, 1);
      m = co_await one_page(store, b, 2);
      co_await store.detach(b);
      co_await store.checkpoint();
      co_await overwrite(store, a, n, 3);
      co_await store.terminate(end);
    });
    disk.crash(crash_mode::worst);
    for (const bool logging : {false, true}) {
      how.logging = logging;
      simulated_disk copy = disk.after_crash(crash_mode::best);
      content both = of_page("a.db", n, 3);
      both[{"b.db", m}] = payload_of(2);
      const finding found = look(copy, how, both, false);
      CHECK(found.wrong == "");
      REQUIRE(found.failures.size() == 1);
      CHECK(found.failures[0].code == errc::database_dirty_shutdown);
      CHECK(is_path_of(found.failures[0].file, "a.db"));
      // Killed again, and in turns with and without: the refusal stays, and what is logged is recovered.
      page_no more = 0;
      how.logging = true;
      on(copy, how, [&](instance& store) -> asio::awaitable<void> {
        const database b = co_await store.attach("b.db");
        more = co_await one_page(store, b, 7);
      });
      copy.crash(crash_mode::worst);
      how.logging = logging;
      content rest;
      rest[{"b.db", m}] = payload_of(2);
      rest[{"b.db", more}] = payload_of(7);
      const finding last = look(copy, how, rest, false);
      CHECK(last.words() == "");
    }
  }
}
