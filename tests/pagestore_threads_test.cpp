#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdint>
#include <random>
#include <vector>

using namespace contrail::pagestore;
using contrail::errc;

namespace {

constexpr unsigned accounts = 24;
constexpr std::uint64_t opening = 1000;

struct bank {
  bank() = default;
  instance store;
  database where[2];
  std::vector<page_no> pages[2];
  std::atomic<std::uint64_t> done{0};
};

asio::awaitable<std::uint64_t> balance(transaction& t, database d, page_no n) {
  std::uint64_t out = 0;
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(&out, sizeof out));
  if (count != sizeof out) throw std::runtime_error("short");
  co_return out;
}

asio::awaitable<void> set_balance(transaction& t, database d, page_no n, std::uint64_t value) {
  co_await t.write(d, n, 0, asio::buffer(&value, sizeof value));
}

asio::awaitable<std::uint64_t> total(bank& b) {
  std::uint64_t sum = 0;
  transaction t = b.store.begin();
  for (unsigned i = 0; i < 2; ++i) {
    for (const page_no n : b.pages[i]) {
      const std::uint64_t one = co_await balance(t, b.where[i], n);
      sum += one;
    }
  }
  co_return sum;
}

asio::awaitable<void> open_accounts(bank& b) {
  transaction t = b.store.begin();
  for (unsigned i = 0; i < accounts; ++i) {
    const database d = b.where[i % 2];
    const page_no n = co_await t.allocate(d);
    b.pages[i % 2].push_back(n);
    co_await set_balance(t, d, n, opening);
  }
  const commit_info made = co_await t.commit();
  static_cast<void>(made);
}

asio::awaitable<void> transfer(bank& b, std::mt19937_64& random) {
  transaction t = b.store.begin();
  const unsigned from = static_cast<unsigned>(random() % 2);
  const page_no payer = b.pages[from][random() % b.pages[from].size()];
  const page_no payee = b.pages[1 - from][random() % b.pages[1 - from].size()];
  const std::uint64_t amount = random() % 10;
  const std::uint64_t has = co_await balance(t, b.where[from], payer);
  if (has < amount) co_return;
  const std::uint64_t gets = co_await balance(t, b.where[1 - from], payee);
  co_await set_balance(t, b.where[from], payer, has - amount);
  co_await set_balance(t, b.where[1 - from], payee, gets + amount);
  const durability how = random() % 2 == 0 ? durability::durable : durability::lazy;
  const commit_info made = co_await t.commit(how);
  if (made.at == lgpos{}) throw std::runtime_error("nothing committed");
  ++b.done;
}

asio::awaitable<void> work(bank& b, std::uint64_t seed, unsigned transfers) {
  std::mt19937_64 random(seed);
  for (unsigned i = 0; i < transfers; ++i) {
    try {
      co_await transfer(b, random);
    } catch (const contrail::error& e) {
      if (e.code() != errc::write_conflict) throw;
    }
  }
}

}  // namespace

TEST_CASE("pagestore_threads: one instance, many threads and strands: no transfer is lost or halved", "[pagestore]") {
  temp_directory dir;
  parameters how;
  how.directory = dir / "store";
  how.page_size = 4096;
  how.log_file_size = 256U << 10U;
  how.log_buffer = 64U << 10U;
  how.cache_size = 64;
  how.checkpoint_depth = 256U << 10U;
  bank b;
  constexpr unsigned workers = 8;
  std::atomic<unsigned> failed{0};
  {
    asio::io_context context(4);
    run_on(context, 4, [&]() -> asio::awaitable<void> {
      const auto ex = context.get_executor();
      // Should something be thrown: an instance that is left open keeps the context running.
      const std::shared_ptr<void> end(nullptr, [&](void*) { if (std::uncaught_exceptions() != 0) b.store = instance(); });
      b.store = co_await instance::open(ex, how);
      b.where[0] = co_await b.store.create("a.db");
      b.where[1] = co_await b.store.create("b.db");
      co_await open_accounts(b);
      std::atomic<unsigned> left{workers};
      for (unsigned w = 0; w < workers; ++w) {
        auto ended = [&failed, &left](std::exception_ptr e) {
          if (e) ++failed;
          --left;
        };
        asio::co_spawn(asio::make_strand(ex), work(b, w + 1, 150), std::move(ended));
      }
      co_await b.store.checkpoint();
      const lgpos first = co_await b.store.roll();
      if (first.generation() < 2) throw std::runtime_error("no roll");
      asio::steady_timer pause(ex);
      while (left != 0) {
        pause.expires_after(std::chrono::milliseconds(5));
        co_await pause.async_wait(asio::use_awaitable);
      }
      const std::uint64_t sum = co_await total(b);
      CHECK(sum == accounts * opening);
      co_await b.store.terminate(term_mode::abrupt);
    });
    CHECK(failed == 0);
    CHECK(b.done > workers * 20);
  }
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    b.store = co_await instance::open(ex, how);
    CHECK(b.store.recovered().ran);
    b.where[0] = co_await b.store.attach("a.db");
    b.where[1] = co_await b.store.attach("b.db");
    const std::uint64_t sum = co_await total(b);
    CHECK(sum == accounts * opening);
    co_await b.store.terminate();
  });
}

TEST_CASE("pagestore_threads: the context may end at any time under an instance and its transactions", "[pagestore]") {
  for (unsigned turns = 1; turns < 400; turns += 7) {
    temp_directory dir;
    parameters how;
    how.directory = dir / "store";
    how.page_size = 4096;
    how.log_file_size = 128U << 10U;
    how.log_buffer = 64U << 10U;
    bank b;
    {
      asio::io_context context(1);
      auto all = [&]() -> asio::awaitable<void> {
        const auto ex = context.get_executor();
        b.store = co_await instance::open(ex, how);
        b.where[0] = co_await b.store.create("a.db");
        b.where[1] = co_await b.store.create("b.db");
        co_await open_accounts(b);
        co_await work(b, 1, 50);
      };
      asio::co_spawn(context, all(), [](std::exception_ptr) {});
      for (unsigned i = 0; i < turns; ++i) context.run_one_for(std::chrono::milliseconds(200));
    }
    // The instance outlives its context: it answers, and does nothing.
    asio::io_context other(1);
    std::error_code code;
    run_on(other, 1, [&]() -> asio::awaitable<void> {
      try {
        const lgpos tip = co_await b.store.log_tip();
        static_cast<void>(tip);
      } catch (const contrail::error& e) {
        code = e.code();
      }
    });
    CHECK((code == errc::instance_unavailable || code == errc::not_initialized));
  }
}
