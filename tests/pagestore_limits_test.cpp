#include "support/pagestore_scene.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace pagestore_scene;
using contrail::io::crash_mode;
using contrail::io::disk_fault;
using contrail::io::disk_request;

namespace {

std::error_code code_of_open(simulated_disk& disk, const parameters& how, std::string* text = nullptr) {
  try {
    on(disk, how, [](instance&) -> asio::awaitable<void> { co_return; });
  } catch (const contrail::error& e) {
    if (text != nullptr) *text = e.what();
    return e.code();
  }
  return {};
}

/// Commits until one is refused: by what, and how many were made before.
struct filled {
  filled() = default;
  std::error_code code;
  std::uint64_t last = 0;
};
asio::awaitable<filled> fill_up(instance& store, database d, page_no n, std::uint64_t from, std::uint64_t most) {
  filled out;
  out.last = from;
  for (std::uint64_t i = from + 5; i < from + 5 * most && !out.code; i += 5) {   // whole pages: logs fill up
    out.code = co_await code_of(overwrite(store, d, n, i));
    if (!out.code) out.last = i;
  }
  co_return out;
}

}  // namespace

TEST_CASE("pagestore_limits: each parameter that is out of bounds is refused by its name", "[pagestore_limits]") {
  struct wrong {
    const char* name;
    std::function<void(parameters&)> set;
  };
  const std::vector<wrong> all = {
      {"directory", [](parameters& p) { p.directory.clear(); }},
      {"base_name", [](parameters& p) { p.base_name = "ed"; }},
      {"base_name", [](parameters& p) { p.base_name = "edbx"; }},
      {"base_name", [](parameters& p) { p.base_name = "Edb"; }},
      {"base_name", [](parameters& p) { p.base_name = "../"; }},
      {"page_size", [](parameters& p) { p.page_size = 0; }},
      {"page_size", [](parameters& p) { p.page_size = 2048; }},
      {"page_size", [](parameters& p) { p.page_size = 4097; }},
      {"page_size", [](parameters& p) { p.page_size = 65536; }},
      {"log_file_size", [](parameters& p) { p.log_file_size = 64U << 10U; }},
      {"log_file_size", [](parameters& p) { p.log_file_size = (128U << 10U) + 512; }},
      {"log_file_size", [](parameters& p) { p.log_file_size = (1U << 30U) + (64U << 10U); }},
      {"log_file_size", [](parameters& p) { p.page_size = 32768; p.log_file_size = 256U << 10U; }},
      {"log_write_unit", [](parameters& p) { p.log_write_unit = 1024; }},
      {"log_buffer", [](parameters& p) { p.log_buffer = (64U << 10U) - 1; }},
      {"cache_size", [](parameters& p) { p.cache_size = 63; }},
      {"cache_size", [](parameters& p) { p.cache_size = (std::uint64_t{1} << 31U) + 1; }},
      {"checkpoint_depth", [](parameters& p) { p.checkpoint_depth = (std::uint64_t{64} << 30U) + 1; }},
      {"lazy_delay", [](parameters& p) { p.lazy_delay = std::chrono::milliseconds(0); }},
      {"lazy_delay", [](parameters& p) { p.lazy_delay = std::chrono::milliseconds(10001); }},
      {"lazy_delay", [](parameters& p) { p.lazy_delay = std::chrono::milliseconds(-1); }},
      {"group_delay", [](parameters& p) { p.group_delay = std::chrono::microseconds(10001); }},
      {"group_delay", [](parameters& p) { p.group_delay = std::chrono::microseconds(-1); }},
      {"writes_in_flight", [](parameters& p) { p.writes_in_flight = 0; }},
      {"writes_in_flight", [](parameters& p) { p.writes_in_flight = 257; }},
      {"growth", [](parameters& p) { p.growth = 15; }},
      {"growth", [](parameters& p) { p.growth = 65537; }},
      {"first_generation", [](parameters& p) { p.first_generation = 0; }},
      {"first_generation", [](parameters& p) { p.first_generation = last_generation + 1; }},
  };
  for (const wrong& one : all) {
    simulated_disk disk;
    parameters p = small_instance();
    one.set(p);
    std::string text;
    INFO(one.name);
    CHECK(code_of_open(disk, p, &text) == errc::invalid_parameter);
    INFO(text);
    CHECK(text.find(one.name) != std::string::npos);
    CHECK(disk.names().empty());   // nothing was begun
  }
}

TEST_CASE("pagestore_limits: what is fixed for a set of logs or a database is refused when it is another", "[pagestore_limits]") {
  simulated_disk disk;
  const parameters how = small_instance();
  page_no n = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    co_await store.terminate();
  });
  parameters other = how;
  other.page_size = 8192;
  CHECK(code_of_open(disk, other) == errc::page_size_mismatch);
  other = how;
  other.log_file_size = 192U << 10U;
  std::string text;
  CHECK(code_of_open(disk, other, &text) == errc::invalid_parameter);
  CHECK(text.find("log_file_size") != std::string::npos);
  const finding found = look(disk, how, of_page(n, 5), true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_limits: names of logs get longer in the middle of a history, which is recovered", "[pagestore_limits]") {
  for (const bool circular : {false, true}) {
    simulated_disk disk;
    parameters how = small_instance();
    how.circular_logging = circular;
    how.first_generation = 0xFFFFE;
    page_no n = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      for (unsigned i = 1; i <= 4; ++i) {
        co_await overwrite(store, d, n, 5 + 5 * i);
        const lgpos first = co_await store.roll();
        CHECK(first.generation() == 0xFFFFE + i);
        if (circular) co_await store.checkpoint();
      }
      co_await overwrite(store, d, n, 50);
    });
    disk.crash(crash_mode::worst);
    CHECK(disk.exists("/store/edbFFFFE.log") == !circular);
    CHECK(disk.exists("/store/edbFFFFF.log") == !circular);
    CHECK(disk.exists("/store/edb00100000.log") == !circular);
    const finding found = look(disk, how, of_page(n, 50), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_limits: generations are used up: told, nothing is lost, and a new set of logs goes on", "[pagestore_limits]") {
  simulated_disk disk;
  parameters how = small_instance();
  how.first_generation = last_generation - 1;
  page_no n = 0;
  filled end;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    const lgpos last = co_await store.roll();
    CHECK(last.generation() == last_generation);
    const std::error_code rolled = co_await code_of(dropped(store.roll()));
    CHECK(rolled == errc::log_sequence_end);
    end = co_await fill_up(store, d, n, 5, 400);
    CHECK(end.code == errc::log_sequence_end);
    CHECK(end.last > 5);
    // It stays open, and what was there is; readers go on.
    transaction t = store.begin();
    const std::string bytes = payload_of(7 * 5);
    co_await t.write(d, n, 0, asio::buffer(bytes));
    const std::error_code again = co_await code_of(commit_of(t));
    CHECK(again == errc::log_sequence_end);
    t.rollback();
    const bool there = co_await holds(store, d, n, end.last);
    CHECK(there);
    // A database can be let go of, and the instance ends well.
    co_await store.detach(d);
    co_await store.terminate(term_mode::complete);
  });
  // As often as one likes: opened, or refused by that name; the database is whole.
  std::error_code code;
  for (unsigned i = 0; i < 40 && !code; ++i) code = code_of_open(disk, how);
  CHECK(code == errc::log_sequence_end);
  CHECK(code_of_open(disk, how) == errc::log_sequence_end);
  for (const auto& [name, bytes] : disk.files("/store")) {
    if (name != "a.db") disk.remove(how.directory / name);
  }
  how.first_generation = 1;
  const finding found = look(disk, how, of_page(n, end.last), true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_limits: a store that was killed in its last generation is recovered", "[pagestore_limits]") {
  simulated_disk disk;
  parameters how = small_instance();
  how.first_generation = last_generation;
  page_no n = 0;
  filled end;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    end = co_await fill_up(store, d, n, 5, 400);
    CHECK(end.code == errc::log_sequence_end);
  });
  for (unsigned i = 0; i < 40; ++i) {
    disk.crash(crash_mode::worst);
    const std::error_code code = code_of_open(disk, how);
    if (code) CHECK(code == errc::log_sequence_end);
  }
  for (const auto& [name, bytes] : disk.files("/store")) {
    if (name != "a.db") disk.remove(how.directory / name);
  }
  how.first_generation = 1;
  const finding found = look(disk, how, of_page(n, end.last), true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_limits: circular logging keeps a bounded number of logs, else all stay", "[pagestore_limits]") {
  for (const bool circular : {false, true}) {
    simulated_disk disk;
    parameters how = small_instance();
    how.circular_logging = circular;
    how.checkpoint_depth = 2 * how.log_file_size;
    page_no n = 0;
    std::size_t most = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      for (unsigned i = 1; i <= 600; ++i) {
        co_await overwrite(store, d, n, 5 + 5 * i);
        if (i % 10 == 0) most = std::max(most, disk.names("/store").size());
      }
      const statistics sums = co_await store.counters();
      CHECK(sums.rolls >= 12);
      CHECK(sums.invariants_broken == 0);
    });
    // a.db, checkpoint, lock, current and prepared log; of old ones what the depth covers, one that is on its way out, and one that is used again.
    INFO(most);
    if (circular) CHECK(most <= 5 + 5);
    else CHECK(most >= 5 + 12);
    disk.crash(crash_mode::worst);
    const finding found = look(disk, how, of_page(n, 5 + 5 * 600), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_limits: a data disk that stays full stops commits at the checkpoint's depth, and room brings them back", "[pagestore_limits]") {
  simulated_disk disk;
  parameters how = small_instance();
  how.checkpoint_depth = 4 * how.log_file_size;
  page_no n = 0, more = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    more = co_await one_page(store, d, 15);
    CHECK(more != n);
    for (unsigned i = 0; i < 5; ++i) co_await dropped(store.roll());
    disk_fault fault;
    fault.what = disk_request::write;
    fault.path = "a.db";
    fault.error = std::make_error_code(std::errc::no_space_on_device);
    fault.lasting = true;
    disk.add(fault);
    // As much log lies behind the checkpoint as may: no more before there is another one.
    transaction t = store.begin();
    const std::string bytes = payload_of(10);
    co_await t.write(d, n, 0, asio::buffer(bytes));
    const std::error_code code = co_await code_of(commit_of(t));
    CHECK(code == errc::disk_full);
    const bool there = co_await holds(store, d, n, 5);
    CHECK(there);
    std::string text;
    try {
      co_await store.checkpoint();
    } catch (const contrail::error& e) {
      text = e.what();
      CHECK(e.code() == errc::disk_full);
      CHECK(is_path_of(e.details().file, "a.db"));
    }
    CHECK_FALSE(text.empty());
    disk.clear_faults();
    std::string refused;
    try {
      co_await commit_of(t);   // it was left open
    } catch (const contrail::error& e) {
      refused = e.what();
    }
    CHECK(refused == "");
  });
  disk.crash(crash_mode::worst);
  content expected = of_page(n, 10);
  expected[{"a.db", more}] = payload_of(15);
  const finding found = look(disk, how, expected, true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_limits: a data file that cannot be written is tried for a while, then the store stops; the log has everything",
          "[pagestore_limits]") {
  for (const bool for_ever : {false, true}) {
    simulated_disk disk;
    parameters how = small_instance();
    page_no n = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      for (unsigned i = 0; i < (for_ever ? 1U : 3U); ++i) {
        disk_fault fault;
        fault.what = disk_request::write;
        fault.path = "a.db";
        fault.lasting = for_ever;
        disk.add(fault);
      }
      std::error_code code;
      std::string text;
      try {
        co_await store.checkpoint();
      } catch (const contrail::error& e) {
        code = e.code();
        text = e.what();
        CHECK(is_path_of(e.details().file, "a.db"));
        CHECK(e.details().offset.has_value());
      }
      INFO(text);
      if (!for_ever) {
        CHECK(code == std::error_code());
        co_await overwrite(store, d, n, 10);
        co_return;
      }
      CHECK(code == errc::disk_io);
      const std::error_code later = co_await code_of(overwrite(store, d, n, 15));
      CHECK(later == errc::instance_unavailable);
    });
    disk.clear_faults();
    disk.crash(crash_mode::worst);
    const std::uint64_t last = for_ever ? 5 : 10;
    const finding found = look(disk, how, of_page(n, last), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_limits: a disk that becomes full under a log is told as that", "[pagestore_limits]") {
  simulated_disk disk;
  const parameters how = small_instance();
  page_no n = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    disk_fault fault;
    fault.what = disk_request::write;
    fault.path = "edb.log";
    fault.error = std::make_error_code(std::errc::no_space_on_device);
    disk.add(fault);
    const std::error_code code = co_await code_of(overwrite(store, d, n, 10));
    CHECK(code == errc::log_write_fail);
    const std::error_code later = co_await code_of(overwrite(store, d, n, 15));
    CHECK(later == errc::instance_unavailable_log_disk_full);
    const std::error_code reading = co_await code_of(dropped(holds(store, d, n, 5)));
    CHECK(reading == errc::instance_unavailable_log_disk_full);
    // Only the end is left, of any kind.
    co_await store.terminate(term_mode::complete);
  });
  disk.crash(crash_mode::worst);
  const finding found = look(disk, how, of_page(n, 5), true);
  CHECK(found.words() == "");
}

TEST_CASE("pagestore_limits: a full data disk at detach and at the end loses nothing", "[pagestore_limits]") {
  simulated_disk disk;
  const parameters how = small_instance();
  page_no n = 0;
  const auto fill_disk = [&disk] {
    disk_fault fault;
    fault.what = disk_request::write;
    fault.path = "a.db";
    fault.error = std::make_error_code(std::errc::no_space_on_device);
    fault.lasting = true;
    disk.add(fault);
  };
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 5);
    const page_no more = co_await one_page(store, d, 15);
    fill_disk();
    const std::error_code kept = co_await code_of(store.detach(d));
    CHECK(kept == errc::disk_full);
    co_await overwrite(store, d, n, 10);   // it is in use as before
    disk.clear_faults();
    co_await store.detach(d);
    const database again = co_await store.attach("a.db");
    co_await overwrite(store, again, n, 20);
    co_await overwrite(store, again, more, 25);
    fill_disk();
    const std::error_code end = co_await code_of(store.terminate(term_mode::complete));
    CHECK(end == errc::disk_full);
    // It has ended all the same.
    const std::error_code after = co_await code_of(store.checkpoint());
    CHECK(after == errc::term_in_progress);
    disk.clear_faults();
  });
  CHECK(disk.held_locks() == 0);
  disk.crash(crash_mode::worst);
  content expected = of_page(n, 20);
  expected[{"a.db", 3}] = payload_of(25);
  const finding found = look(disk, how, expected, true);
  CHECK(found.words() == "");
}
