#include "support/pagestore_world.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace contrail::pagestore;
using contrail::errc;
using contrail::io::disk_fault;
using contrail::io::disk_request;
using contrail::io::simulated_disk;

namespace {

parameters small() {
  parameters p;
  p.directory = "/store";
  p.page_size = 4096;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.cache_size = 64;
  p.checkpoint_depth = 256U << 10U;
  p.growth = 16;
  return p;
}

void on(simulated_disk& disk, const parameters& how, const std::function<asio::awaitable<void>(instance&)>& what) {
  asio::io_context context(1);
  contrail::io::file_system fs = disk.mount(context.get_executor());
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    instance store = co_await instance::open(ex, how, &fs);
    co_await what(store);
    co_await store.terminate(term_mode::abrupt);
  });
}

/// What an operation fails with; nothing when it does not.
template <typename Work>
asio::awaitable<std::error_code> code_of(Work work) {
  std::error_code out;
  try {
    co_await std::move(work);
  } catch (const std::system_error& e) {
    out = e.code();
  }
  co_return out;
}

asio::awaitable<void> commit_of(transaction& t, durability how) {
  const commit_info done = co_await t.commit(how);
  static_cast<void>(done);
}

// A page of content that no delta makes short.
asio::awaitable<void> fill(transaction& t, database d, page_no n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(4000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  co_await t.write(d, n, 0, asio::buffer(bytes));
}

asio::awaitable<page_no> one_page(instance& store, database d, std::uint64_t seed) {
  transaction t = store.begin();
  const page_no n = co_await t.allocate(d);
  co_await fill(t, d, n, seed);
  co_await commit_of(t, durability::durable);
  co_return n;
}

asio::awaitable<bool> holds(instance& store, database d, page_no n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string expected(4000, '\0');
  for (char& c : expected) c = static_cast<char>(random());
  std::string found(4000, '\0');
  transaction t = store.begin();
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(found));
  co_return count == found.size() && found == expected;
}

}  // namespace

TEST_CASE("pagestore_failure: a log that cannot be written stops the instance; what was confirmed is there when it is opened again", "[pagestore]") {
  for (const disk_request what : {disk_request::write, disk_request::sync}) {
    simulated_disk disk;
    page_no first = 0;
    on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.create("a.db");
      first = co_await one_page(store, d, 1);
      disk_fault fault;
      fault.what = what;
      fault.path = "edb.log";
      disk.add(fault);
      transaction t = store.begin();
      co_await fill(t, d, first, 2);
      const std::error_code code = co_await code_of(commit_of(t, durability::durable));
      CHECK(code == errc::log_write_fail);
      // The disk is fine again, and that does not help: what the failed write left is not known.
      transaction next = store.begin();
      const std::error_code later = co_await code_of(fill(next, d, first, 3));
      CHECK(later == errc::instance_unavailable);
      const std::error_code rolled = co_await code_of(store.checkpoint());
      CHECK(rolled == errc::instance_unavailable);
    });
    disk.crash(contrail::io::crash_mode::worst);
    on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.attach("a.db");
      const bool old = co_await holds(store, d, first, 1);
      CHECK(old);
    });
  }
}

TEST_CASE("pagestore_failure: a log disk that is full is told before anything is appended, and room brings the instance back", "[pagestore]") {
  simulated_disk disk;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 1);
    // Two rolls use up what is prepared.
    const std::uint64_t used = disk.used_bytes();
    disk.set_capacity(used + 4096);
    std::error_code code;
    std::uint64_t last = 1;
    for (std::uint64_t i = 2; i < 400 && !code; ++i) {
      transaction t = store.begin();
      co_await fill(t, d, n, i);
      code = co_await code_of(commit_of(t, durability::durable));
      if (!code) {
        last = i;
        continue;
      }
      // It stays open, and can be tried again when there is room.
      CHECK(code == errc::log_disk_full);
      const bool still = co_await holds(store, d, n, last);
      CHECK(still);
      disk.set_capacity(std::numeric_limits<std::uint64_t>::max());
      const std::error_code again = co_await code_of(commit_of(t, durability::durable));
      CHECK(again == std::error_code());
      const bool now = co_await holds(store, d, n, i);
      CHECK(now);
    }
    CHECK(code == errc::log_disk_full);
  });
}

TEST_CASE("pagestore_failure: a data disk that is full fails the allocation alone", "[pagestore]") {
  simulated_disk disk;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 1);
    disk_fault fault;
    fault.what = disk_request::write;
    fault.path = "a.db";
    fault.error = std::make_error_code(std::errc::no_space_on_device);
    fault.lasting = true;
    disk.add(fault);
    std::error_code code;
    {
      transaction t = store.begin();
      for (unsigned i = 0; i < 40 && !code; ++i) {
        try {
          const page_no more = co_await t.allocate(d);
          CHECK(more > n);
        } catch (const contrail::error& e) {
          code = e.code();
        }
      }
    }
    CHECK(code == errc::disk_full);
    transaction t = store.begin();
    co_await fill(t, d, n, 2);
    const std::error_code fine = co_await code_of(commit_of(t, durability::durable));
    CHECK(fine == std::error_code());
    disk.clear_faults();
    const page_no more = co_await one_page(store, d, 3);
    CHECK(more != n);
  });
}

TEST_CASE("pagestore_failure: a failed sync of a database is not tried again; the log brings everything back", "[pagestore]") {
  simulated_disk disk;
  page_no n = 0;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 1);
    disk_fault fault;
    fault.what = disk_request::sync;
    fault.path = "a.db";
    disk.add(fault);
    const std::error_code code = co_await code_of(store.checkpoint());
    CHECK(code == std::errc::io_error);
    const std::error_code later = co_await code_of(store.checkpoint());
    CHECK(later == errc::instance_unavailable);
  });
  disk.crash(contrail::io::crash_mode::worst);
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.attach("a.db");
    const bool there = co_await holds(store, d, n, 1);
    CHECK(there);
  });
}

// A sync that fails may have lost pages that were written long before, whatever it gives as its reason.
TEST_CASE("pagestore_failure: a database that grows, and whose sync then says that the disk is full, stops the instance; nothing is lost",
          "[pagestore]") {
  simulated_disk disk;
  parameters how = small();
  how.checkpoint_depth = 32U << 20U;   // no round but those that are asked for
  how.log_file_size = 8U << 20U;
  page_no n = 0;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 1);
    co_await store.checkpoint();
    {
      transaction t = store.begin();
      co_await fill(t, d, n, 2);
      co_await commit_of(t, durability::durable);
    }
    // So many others that this one is written, and not synced.
    const database other = co_await store.create("b.db");
    for (std::uint64_t i = 0; i < 140; ++i) {
      const page_no m = co_await one_page(store, other, i);
      CHECK(m != 0);
    }
    disk_fault fault;
    fault.what = disk_request::sync;
    fault.path = "a.db";
    fault.error = std::make_error_code(std::errc::no_space_on_device);
    disk.add(fault);
    std::error_code code;
    for (unsigned i = 0; i < 100 && !code; ++i) {
      transaction t = store.begin();
      for (unsigned k = 0; k < 10 && !code; ++k) {
        try {
          const page_no m = co_await t.allocate(d);
          CHECK(m != 0);
        } catch (const std::system_error& e) {
          code = e.code();
        }
      }
      if (!code) code = co_await code_of(commit_of(t, durability::durable));
    }
    CHECK(code == std::errc::no_space_on_device);
    // Were it to go on, these would say that all is on the disk.
    const std::error_code round = co_await code_of(store.checkpoint());
    CHECK(round == errc::instance_unavailable);
    const std::error_code ended = co_await code_of(store.terminate());
    CHECK(ended == std::error_code());   // a call has told it
  });
  disk.crash(contrail::io::crash_mode::worst);
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.attach("a.db");
    const bool there = co_await holds(store, d, n, 2);
    CHECK(there);
  });
}

// What the file then shows is in memory alone.
TEST_CASE("pagestore_failure: room that a failed growth has left is not taken for granted by the next instance", "[pagestore]") {
  simulated_disk disk;
  constexpr std::uint32_t owned = 16;
  const auto grow = [](instance& store, database d) -> asio::awaitable<void> {
    transaction t = store.begin();   // rolled back: nothing is written behind the old end
    for (std::uint32_t i = 0; i < owned; ++i) {
      const page_no n = co_await t.allocate(d);
      CHECK(n != 0);
    }
  };
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    disk_fault fault;
    fault.what = disk_request::sync;
    fault.path = "a.db";
    disk.add(fault);
    const std::error_code code = co_await code_of(grow(store, d));
    CHECK(code == std::errc::io_error);
    const std::error_code ended = co_await code_of(store.terminate());
    CHECK(ended == errc::instance_unavailable);
  });
  CHECK(disk.read_file("/store/a.db").size() == (2 * owned + 2) * 4096);
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.attach("a.db");
    co_await grow(store, d);
    const std::uint32_t now = co_await store.pages(d);
    CHECK(now == 2 * owned);
    co_await store.detach(d);
  });
  disk.crash(contrail::io::crash_mode::worst);
  CHECK(disk.read_file("/store/a.db").size() == (2 * owned + 2) * 4096);
}

TEST_CASE("pagestore_failure: a commit that waits when a database fails is told that the instance has", "[pagestore]") {
  contrail::io::disk_options options;
  options.least_delay = options.most_delay = std::chrono::microseconds(50);   // in their order
  simulated_disk disk(options);
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 1);
    disk_fault fault;
    fault.what = disk_request::sync;
    fault.path = "a.db";
    disk.add(fault);
    const auto ex = co_await asio::this_coro::executor;
    const auto grow = [](instance& in, database to) -> asio::awaitable<void> {
      transaction t = in.begin();
      while (true) {
        const page_no m = co_await t.allocate(to);
        CHECK(m != 0);
      }
    };
    std::error_code growing, waiting;
    auto grown = [&growing](std::exception_ptr, std::error_code ec) { growing = ec; };
    asio::co_spawn(ex, code_of(grow(store, d)), std::move(grown));
    const auto extended = [&disk] { return disk.log().back().what == disk_request::write && disk.log().back().bytes == 16 * 4096; };
    while (!extended()) co_await asio::post(ex, asio::use_awaitable);
    // The sync is asked for by now, and the log would need two operations.
    transaction t = store.begin();
    co_await t.write(d, n, 0, asio::buffer("new", 3));
    auto committed = [&waiting](std::exception_ptr, std::error_code ec) { waiting = ec; };
    asio::co_spawn(ex, code_of(commit_of(t, durability::durable)), std::move(committed));
    while (!growing || !waiting) co_await asio::post(ex, asio::use_awaitable);
    CHECK(growing == std::errc::io_error);
    CHECK(waiting == errc::instance_unavailable);
  });
}

TEST_CASE("pagestore_failure: pages that cannot be read are named, and the instance lives", "[pagestore]") {
  simulated_disk disk;
  page_no n = 0;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    n = co_await one_page(store, d, 1);
    co_await store.terminate(term_mode::complete);
  });
  const std::string whole = disk.read_file("/store/a.db");
  const std::size_t at = (std::size_t{n} + 1) * 4096;
  std::string flipped = whole;
  flipped[at + 100] = static_cast<char>(flipped[at + 100] ^ 4);
  std::string moved = whole;
  moved.replace(at, 4096, whole.substr(2 * 4096, 4096));
  const std::vector<std::pair<std::string, errc>> damages = {{flipped, errc::read_verify_failure}, {moved, errc::page_number_mismatch}};
  for (const auto& [bytes, expected] : damages) {
    disk.write_file("/store/a.db", bytes);
    const errc named = expected;
    on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
      const database d = co_await store.attach("a.db");
      transaction t = store.begin();
      std::string text;
      try {
        std::string into(10, '\0');
        const std::size_t count = co_await t.read(d, n, 0, asio::buffer(into));
        CHECK(count == 0);
      } catch (const contrail::error& e) {
        CHECK(e.code() == named);
        CHECK(e.details().file.find("a.db") != std::string::npos);
        CHECK(e.details().offset == at);
        text = e.what();
      }
      CHECK_FALSE(text.empty());
      const page_no more = co_await one_page(store, d, 2);
      CHECK(more != n);
      co_await store.terminate(term_mode::complete);
    });
    disk.write_file("/store/a.db", whole);
  }
}

TEST_CASE("pagestore_failure: a transaction beyond its bound stays open, and the instance healthy", "[pagestore]") {
  simulated_disk disk;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database d = co_await store.create("a.db");
    const page_no n = co_await one_page(store, d, 1);
    std::error_code code;
    {
      transaction t = store.begin();
      co_await fill(t, d, n, 2);
      for (unsigned i = 0; i < 40 && !code; ++i) {
        try {
          const page_no more = co_await t.allocate(d);
          co_await fill(t, d, more, i);
        } catch (const contrail::error& e) {
          code = e.code();
        }
      }
      if (!code) code = co_await code_of(commit_of(t, durability::durable));
      CHECK(code == errc::version_store_out_of_memory);
      const bool others = co_await holds(store, d, n, 1);
      CHECK(others);
      t.rollback();
    }
    transaction t = store.begin();
    co_await fill(t, d, n, 3);
    const std::error_code fine = co_await code_of(commit_of(t, durability::durable));
    CHECK(fine == std::error_code());
  });
}

TEST_CASE("pagestore_failure: databases come and go", "[pagestore]") {
  simulated_disk disk;
  on(disk, small(), [&](instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    const page_no n = co_await one_page(store, a, 1);
    {
      transaction t = store.begin();
      std::string into(10, '\0');
      const std::size_t count = co_await t.read(a, n, 0, asio::buffer(into));
      CHECK(count == 10);
      const std::error_code used = co_await code_of(store.detach(a));
      CHECK(used == errc::database_in_use);
      t.rollback();
    }
    co_await store.detach(a);
    transaction t = store.begin();
    const std::error_code gone = co_await code_of(fill(t, a, n, 2));
    CHECK(gone == errc::database_not_found);
    const database again = co_await store.attach("a.db");
    const bool there = co_await holds(store, again, n, 1);
    CHECK(there);
    std::error_code taken;
    try {
      const database b = co_await store.create("a.db");
      CHECK(b.id == 0);
    } catch (const contrail::error& e) {
      taken = e.code();
    }
    CHECK(taken == std::errc::file_exists);
    for (const char* const name : {"b.db", "c.db", "d.db", "e.db", "f.db"}) {
      const database more = co_await store.create(name);
      CHECK(more.id != again.id);
    }
    std::error_code seventh;
    try {
      const database b = co_await store.create("g.db");
      CHECK(b.id == 0);
    } catch (const contrail::error& e) {
      seventh = e.code();
    }
    CHECK(seventh == errc::invalid_parameter);
  });
  CHECK_FALSE(disk.exists("/store/g.db"));
}
