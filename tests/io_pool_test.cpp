#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/worker.hpp>

#include "support/gate.hpp"
#include "support/run.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <optional>

using namespace contrail;
using asio::use_awaitable;

TEST_CASE("buffer_pool: buffers are aligned, counted, shared, and given to who waited first", "[io]") {
  asio::io_context context;
  io::buffer_pool pool(context.get_executor(), 2, 5000);
  REQUIRE(pool.count() == 2);
  REQUIRE(pool.bytes_each() == 8192);
  io::lease a = pool.try_acquire();
  io::lease b = pool.try_acquire();
  REQUIRE(reinterpret_cast<std::uintptr_t>(a.buffer().data()) % 4096 == 0);
  REQUIRE_FALSE(pool.try_acquire());
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    pool.async_acquire([&order, i](std::error_code ec, io::lease got) {
      REQUIRE(!ec);
      REQUIRE(got);
      order.push_back(i);
    });
  }
  context.poll();
  REQUIRE(order.empty());
  io::lease second_owner = a.share();
  a.reset();
  context.poll();
  REQUIRE(order.empty());
  second_owner.reset();
  context.run();
  REQUIRE(order == std::vector<int>{0, 1, 2});
  REQUIRE(pool.free_count() == 1);
  b = io::lease();
  REQUIRE(pool.free_count() == 2);
  REQUIRE_THROWS_AS(io::buffer_pool(context.get_executor(), 0, 4096), std::invalid_argument);
}

TEST_CASE("buffer_pool: a waiter can be cancelled, and dies with its context", "[io]") {
  asio::io_context context;
  io::buffer_pool pool(context.get_executor(), 1, 4096);
  io::lease only = pool.try_acquire();
  asio::cancellation_signal signal;
  std::error_code seen;
  bool called = false;
  auto handler = [&](std::error_code ec, io::lease got) {
    called = true;
    seen = ec;
    REQUIRE_FALSE(got);
  };
  pool.async_acquire(asio::bind_cancellation_slot(signal.slot(), handler));
  context.poll();
  signal.emit(asio::cancellation_type::total);
  context.run();
  REQUIRE(called);
  REQUIRE(seen == asio::error::operation_aborted);
  only.reset();
  REQUIRE(pool.free_count() == 1);

  auto mortal = std::make_unique<asio::io_context>();
  auto kept = std::make_unique<io::buffer_pool>(mortal->get_executor(), 1, 4096);
  io::lease held = kept->try_acquire();
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  kept->async_acquire([token](std::error_code, io::lease) { FAIL("must not be called"); });
  token.reset();
  mortal.reset();
  REQUIRE(watch.expired());
  held.reset();
  REQUIRE(kept->free_count() == 1);
}

TEST_CASE("worker: results, exceptions, and the loop goes on meanwhile", "[io]") {
  asio::io_context context;
  io::worker worker(context.get_executor());
  gate door;
  auto body = [&]() -> asio::awaitable<void> {
    const auto here = std::this_thread::get_id();
    auto where = [] { return std::this_thread::get_id(); };
    const std::thread::id there = co_await worker.async_run(std::move(where), use_awaitable);
    REQUIRE(there != here);
    REQUIRE(std::this_thread::get_id() == here);
    auto throwing = []() -> int { throw std::runtime_error("no"); };
    bool thrown = false;
    try {
      co_await worker.async_run(std::move(throwing), use_awaitable);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    REQUIRE(thrown);
    auto blocked = [&door] { door.acquire(); };
    co_await worker.async_run(std::move(blocked), use_awaitable);
  };
  // Only the loop can open the door: a loop that waited for the call would never end.
  asio::post(context, [&] { asio::post(context, [&] { door.release(); }); });
  run_on(context, 1, body);
}

TEST_CASE("worker: two threads really run two calls at once", "[io]") {
  asio::io_context context;
  io::worker worker(context.get_executor(), 2);
  int done = 0;
  auto nothing = [] {};
  auto count = [&done](std::exception_ptr e) {
    REQUIRE(!e);
    ++done;
  };
  for (int round = 0; round < 20; ++round) {
    // The first round finds no thread, later ones find one or two asleep; each call can only end when the other runs.
    gate one;
    gate two;
    auto first = [&] {
      one.release();
      two.acquire();
    };
    auto second = [&] {
      two.release();
      one.acquire();
    };
    if (round == 0) worker.async_run(nothing, count);
    worker.async_run(first, count);
    worker.async_run(second, count);
    context.run();
    context.restart();
  }
  REQUIRE(done == 41);
}

TEST_CASE("worker: a call that has not begun is dropped by a cancellation, one that runs is waited for", "[io]") {
  auto context = std::make_unique<asio::io_context>();
  io::worker worker(context->get_executor());
  gate started;
  gate door;
  std::atomic<int> ran{0};
  asio::cancellation_signal first_signal;
  asio::cancellation_signal second_signal;
  std::optional<bool> first_failed;
  std::optional<bool> second_failed;
  auto first = [&] {
    started.release();
    door.acquire();
    return ++ran;
  };
  auto second = [&] { return ++ran; };
  auto on_first = [&](std::exception_ptr e, int) { first_failed = e != nullptr; };
  auto on_second = [&](std::exception_ptr e, int) { second_failed = e != nullptr; };
  worker.async_run(first, asio::bind_cancellation_slot(first_signal.slot(), on_first));
  worker.async_run(second, asio::bind_cancellation_slot(second_signal.slot(), on_second));
  context->poll();
  started.acquire();
  first_signal.emit(asio::cancellation_type::terminal);
  second_signal.emit(asio::cancellation_type::terminal);
  while (!second_failed.has_value()) context->run_one();
  REQUIRE(*second_failed);
  REQUIRE_FALSE(first_failed.has_value());
  door.release();
  context->run();
  REQUIRE(first_failed == false);
  REQUIRE(ran == 1);

  // The context dies while a call runs: its data is alive until the call has ended.
  context->restart();
  auto data = std::make_shared<std::atomic<int>>(0);
  auto slow = [data, &started] {
    started.release();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++*data;
    return 0;
  };
  worker.async_run(std::move(slow), [](std::exception_ptr, int) { FAIL("must not be called"); });
  context->poll();
  started.acquire();
  context.reset();
  REQUIRE(*data == 1);
  REQUIRE(data.use_count() == 1);
}
