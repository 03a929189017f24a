#include "engines/pagestore/log/log_files.hpp"
#include "support/pagestore_scene.hpp"

#include <contrail/engines/pagestore/inspect.hpp>

#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <limits>

using namespace pagestore_scene;
using contrail::io::crash_mode;
using contrail::io::disk_fault;
using contrail::io::disk_request;

namespace {

std::size_t logs_in(const simulated_disk& disk) {
  const std::vector<std::string> all = disk.names("/store");
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const std::string& n) { return n.ends_with(".log"); }));
}

/// Until the next log file is made, and nothing is asked of the disk.
asio::awaitable<void> until_prepared(const simulated_disk& disk) {
  unsigned quiet = 0;
  while (quiet < 100) {
    co_await asio::post(asio::use_awaitable);
    quiet = disk.exists("/store/edbtmp.log") && disk.in_flight() == 0 ? quiet + 1 : 0;
  }
}

}  // namespace

TEST_CASE("pagestore_log_files: circular logs stay few however long the history, also of one that never waits", "[pagestore_log_files]") {
  for (const durability how_durable : {durability::lazy, durability::durable}) {
    INFO("lazy " << (how_durable == durability::lazy));
    simulated_disk disk;
    parameters how = small_instance();
    how.circular_logging = true;
    how.checkpoint_depth = 2 * how.log_file_size;
    how.lazy_delay = std::chrono::milliseconds(10000);
    constexpr unsigned commits = 3000;
    page_no n = 0;
    std::size_t most = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      for (unsigned i = 1; i <= commits; ++i) {
        co_await overwrite(store, d, n, 5 + 5 * i, how_durable);   // the whole page: logs fill up
        if (i % 20 == 0) most = std::max(most, logs_in(disk));
      }
      const statistics sums = co_await store.counters();
      CHECK(sums.rolls >= 80);
      CHECK(sums.invariants_broken == 0);
      co_await store.checkpoint();
      co_await dropped(store.roll());
      co_await store.checkpoint();
      co_await until_prepared(disk);
      // All that is left: the current one, the next one, and one or two before the last checkpoint.
      CHECK(logs_in(disk) <= 4);
      co_await overwrite(store, d, n, 10);
    });
    INFO(most);
    // What the depth covers, one that waits to be the next, the next, the current, and those of a round that runs.
    CHECK(most <= 8);
    disk.crash(crash_mode::worst);
    const finding found = look(disk, how, of_page(n, 10), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_log_files: beside a full log disk databases are detached and the instance ends well, nothing else is begun", "[pagestore_log_files]") {
  for (const std::uint64_t room : {0U, 512U, 8192U, 60000U}) {
    INFO("room " << room);
    simulated_disk disk;
    const parameters how = small_instance();
    content expected;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      database e = co_await store.create("b.db");
      const page_no n = co_await one_page(store, d, 5);
      const page_no m = co_await one_page(store, e, 6);
      co_await store.checkpoint();
      co_await until_prepared(disk);
      disk.set_capacity(disk.used_bytes() + room);
      std::error_code code;
      std::uint64_t last = 5;
      for (std::uint64_t i = 10; i < 2000 && !code; i += 5) {
        code = co_await code_of(overwrite(store, d, n, i));
        if (!code) last = i;
      }
      CHECK(code == errc::log_disk_full);
      expected[{"a.db", n}] = payload_of(last);
      expected[{"b.db", m}] = payload_of(6);
      // What is kept for the end is not used up by coming and going.
      std::error_code attached;
      unsigned rounds = 0;
      for (; rounds < 200 && !attached; ++rounds) {
        const std::error_code let_go = co_await code_of(store.detach(e));
        REQUIRE(let_go == std::error_code());
        try {
          e = co_await store.attach("b.db");
        } catch (const contrail::error& x) {
          attached = x.code();
        }
      }
      INFO("rounds " << rounds);
      CHECK(attached == errc::log_disk_full);
      const bool there = co_await holds(store, d, n, last);
      CHECK(there);
      const std::error_code again = co_await code_of(dropped(store.attach("b.db")));
      CHECK(again == errc::log_disk_full);
      if (room != 512) {
        const std::error_code let_go = co_await code_of(store.detach(d));
        CHECK(let_go == std::error_code());
      }
      const std::error_code ended = co_await code_of(store.terminate());
      CHECK(ended == std::error_code());
    });
    disk.crash(crash_mode::worst);
    disk.set_capacity(std::numeric_limits<std::uint64_t>::max());
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance store = co_await instance::open(ex, how, &fs);
      CHECK_FALSE(store.recovered().ran);
      co_await store.terminate();
    });
    const finding found = look(disk, how, expected, true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_log_files: logs below a gap are removed where logs are, and the checkpoint tells that they are not needed, else they stay",
          "[pagestore_log_files]") {
  for (const auto& [checkpoint, circular] : {std::pair(true, true), std::pair(true, false), std::pair(false, true), std::pair(false, false)}) {
    INFO("checkpoint " << checkpoint << ", circular " << circular);
    simulated_disk disk;
    const parameters how = small_instance();
    page_no n = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      for (unsigned i = 0; i < 8; ++i) co_await dropped(store.roll());
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      co_await store.terminate();
    });
    if (!checkpoint) disk.remove("/store/edb.chk");
    disk.remove("/store/edb00005.log");
    const std::map<std::string, std::string> before = disk.files("/store");
    parameters opening = how;
    opening.circular_logging = circular;
    const unsigned opens = circular ? 1 : 3;   // each writes a checkpoint
    for (unsigned i = 0; i < opens; ++i) {
      const finding found = look(disk, opening, of_page(n, 5), false);
      CHECK(found.words() == "");
    }
    for (const char* const name : {"edb00001.log", "edb00002.log", "edb00003.log", "edb00004.log"}) {
      INFO(name);
      REQUIRE(before.count(name) == 1);
      const bool removed = checkpoint && circular;
      CHECK(disk.exists(std::string("/store/") + name) != removed);
      if (!removed) CHECK(disk.read_file(std::string("/store/") + name) == before.at(name));
    }
  }
}

TEST_CASE("pagestore_log_files: a next log that cannot be made is told with its cause, and is made when that is gone", "[pagestore_log_files]") {
  struct cause {
    std::errc error;
    bool full;
  };
  for (const cause& why : {cause{std::errc::permission_denied, false}, cause{std::errc::io_error, false},
                           cause{std::errc::too_many_files_open, false}, cause{std::errc::no_space_on_device, true}}) {
    const std::error_code given = std::make_error_code(why.error);
    INFO(given.message());
    simulated_disk disk;
    const parameters how = small_instance();
    page_no n = 0;
    std::uint64_t last = 5;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      n = co_await one_page(store, d, 5);
      co_await until_prepared(disk);
      disk_fault fault;
      fault.what = disk_request::open;
      fault.path = "edbtmp.log";
      fault.error = given;
      fault.nth = 1;   // that which is there is opened to be the next one; the one after it cannot be made
      fault.lasting = true;
      disk.add(fault);
      co_await dropped(store.roll());
      for (unsigned tries = 0; tries < 2; ++tries) {
        const std::error_code rolled = co_await code_of(dropped(store.roll()));
        if (why.full) CHECK(rolled == errc::log_disk_full);
        else CHECK(rolled == given);
      }
      // Commits go on as long as this one has room; then they are told the same, and stay open.
      std::string file, text;
      std::error_code code;
      transaction t;
      while (!code) {
        t = store.begin();
        const std::string bytes = payload_of(last + 5);
        co_await t.write(d, n, 0, asio::buffer(bytes));
        try {
          co_await commit_of(t);
          last += 5;
        } catch (const contrail::error& e) {
          code = e.code();
          file = e.details().file;
          text = e.what();
        }
      }
      INFO(text);
      if (why.full) CHECK(code == errc::log_disk_full);
      else CHECK(code == given);
      CHECK(is_path_of(file, "edbtmp.log"));
      CHECK(last > 5);
      disk.clear_faults();
      co_await commit_of(t);
      last += 5;
    });
    disk.crash(crash_mode::worst);
    const finding found = look(disk, how, of_page(n, last), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_log_files: an old log is used again only when each sector of it can be told from damage", "[pagestore_log_files]") {
  simulated_disk disk;
  parameters how = small_instance();
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 5);
    CHECK(n != 0);
    co_await dropped(store.roll());
  });
  const std::string old = "/store/edb00001.log";
  const std::string sound = disk.read_file(old);
  REQUIRE(sound.size() == how.log_file_size);
  const auto usable = [&](const std::string& bytes, std::uint32_t generation, bool other_logs = false) {
    disk.write_file(old, bytes);
    bool out = false;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      disk.write_file(old, sound);
      store_facts facts = co_await inspect(fs, "/store");
      disk.write_file(old, bytes);
      if (other_logs) ++facts.log.random;
      out = co_await may_be_used_again(fs, old, how.log_file_size, generation, facts.log);
    });
    return out;
  };
  CHECK(usable(sound, 9));
  CHECK_FALSE(usable(sound, 1));   // its own records would count
  CHECK_FALSE(usable(sound.substr(512), 9));
  CHECK_FALSE(usable(sound + sound.substr(512), 9));
  CHECK_FALSE(usable(sound, 9, true));
  for (const std::size_t at : {std::size_t{4096}, std::size_t{4700}, std::size_t{100000}, sound.size() - 1}) {
    std::string rotten = sound;
    rotten[at] = static_cast<char>(rotten[at] ^ 4);
    INFO("byte " << at);
    CHECK_FALSE(usable(rotten, 9));
  }
}
