#include "support/backup_bench.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/use_future.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using bench = backup_bench;
using contrail::backup_report;
using contrail::errc;
using namespace std::chrono_literals;

TEST_CASE("backup: cancelled at every turn, the set is absent or whole", "[backup]") {
  int absent = 0, whole = 0;
  for (int k = 0; k < 420; k += 1) {
    asio::io_context context;
    bench b(context);
    auto ex = asio::make_strand(context.get_executor());
    asio::cancellation_signal signal;
    bool over = false;
    std::exception_ptr failure;
    auto done = [&](std::exception_ptr e) {
      over = true;
      failure = std::move(e);
    };
    asio::co_spawn(ex, b.run(), asio::bind_cancellation_slot(signal.slot(), std::move(done)));
    for (int i = 0; i < k; ++i) context.run_one();
    const bool had_ended = over;
    asio::post(ex, [&] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    REQUIRE(over);
    CHECK(b.world->idle());
    CHECK(b.sink.last->broken_rules.empty());
    if (failure) {
      ++absent;
      CHECK_THROWS_AS(std::rethrow_exception(failure), contrail::error);
      try {
        std::rethrow_exception(failure);
      } catch (const contrail::error& e) {
        CHECK(e.code() == asio::error::operation_aborted);
      }
      CHECK_FALSE(b.sink.last->committed);
      CHECK(b.sink.last->aborted == b.sink.last->begun);
      CHECK(b.world->recorded.empty());
    } else {
      ++whole;
      check_set(b, {"a", "b"});
      CHECK(b.world->recorded.size() == 1);
    }
    if (had_ended) break;
  }
  CHECK(absent > 30);
  CHECK(whole > 0);
}

TEST_CASE("backup: a sink that hangs can be left by cancellation", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.sink.faults->hangs = true;
  asio::cancellation_signal signal;
  bool over = false, failed = false;
  asio::co_spawn(context, b.run(), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
                   over = true;
                   failed = e != nullptr;
                 }));
  while (b.sink.last->writes == 0) context.run_one();
  while (context.poll_one() != 0) {
  }
  CHECK(b.world->held == 0);
  CHECK(b.world->reads == 0);
  signal.emit(asio::cancellation_type::terminal);
  context.run();
  CHECK(over);
  CHECK(failed);
  CHECK(b.world->idle());
  CHECK(b.sink.last->aborted);
}

TEST_CASE("backup: context destroyed at every turn", "[backup]") {
  for (int k = 0; k < 220; ++k) {
    auto world = small_world();
    std::weak_ptr<memory_set> set;
    bool committed = false;
    {
      auto context = std::make_unique<asio::io_context>();
      bench b(*context, world);
      asio::co_spawn(asio::make_strand(context->get_executor()), b.run(), [](std::exception_ptr) {});
      for (int i = 0; i < k; ++i) context->run_one();
      context.reset();
      if (b.sink.last->begun) CHECK(b.sink.last->destroyed);
      committed = b.sink.last->committed;
      CHECK(world->idle());
    }
    if (!committed) CHECK(world->ended_committed == 0);
  }
}

TEST_CASE("backup: two engines into two sinks at once", "[backup]") {
  asio::io_context context(3);
  bench one(context), two(context);
  std::atomic<int> done{0};
  for (bench* b : {&one, &two}) {
    asio::co_spawn(asio::make_strand(context.get_executor()), b->run(), [&done](std::exception_ptr e) {
      if (!e) ++done;
    });
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& t : threads) t.join();
  CHECK(done == 2);
  check_set(one, {"a", "b"});
  check_set(two, {"a", "b"});
}

TEST_CASE("backup: two of one engine at once, the second is refused", "[backup]") {
  asio::io_context context(3);
  auto world = small_world();
  bench one(context, world), two(context, world);
  std::atomic<int> good{0}, refused{0};
  const auto run = [](bench* b, std::atomic<int>* ok, std::atomic<int>* no) -> asio::awaitable<void> {
    const std::error_code ec = co_await outcome_of(b->run());
    if (!ec) ++*ok;
    if (ec == errc::backup_in_progress) ++*no;
  };
  world->read_time = 20ms;
  for (bench* b : {&one, &two}) asio::co_spawn(asio::make_strand(context.get_executor()), run(b, &good, &refused), [](std::exception_ptr) {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& t : threads) t.join();
  CHECK(good == 1);
  CHECK(refused == 1);
  CHECK(one.sink.sets.size() + two.sink.sets.size() == 1);
  CHECK(world->idle());
}

TEST_CASE("backup: token forms", "[backup]") {
  asio::io_context context;
  bench b(context);
  const auto ex = context.get_executor();
  SECTION("a future") {
    auto work = asio::make_work_guard(context);
    std::thread runner([&] { context.run(); });
    auto result = contrail::async_backup(ex, b.engine, b.sink, b.options, asio::use_future);
    const backup_report report = result.get();
    work.reset();
    runner.join();
    CHECK(report.files == 4);
  }
  SECTION("a callback") {
    bool called = false;
    contrail::async_backup(ex, b.engine, b.sink, b.options, [&](std::exception_ptr e, const backup_report& report) {
      called = !e && report.files == 4;
    });
    context.run();
    CHECK(called);
  }
  SECTION("a callback, and a failure") {
    b.world->status = make_error_code(errc::not_initialized);
    std::string what;
    contrail::async_backup(ex, b.engine, b.sink, b.options, [&](std::exception_ptr e, const backup_report&) {
      try {
        if (e) std::rethrow_exception(e);
      } catch (const contrail::error& x) {
        what = x.what();
      }
    });
    context.run();
    CHECK(what == "begin backup: the engine is not initialized");
  }
  CHECK(b.world->idle());
}

TEST_CASE("backup: comes back to the caller's executor", "[backup]") {
  asio::io_context context(2);
  bench b(context);
  bool right = false;
  run_on(context, 2, [&]() -> asio::awaitable<void> {
    auto here = co_await asio::this_coro::executor;
    const auto* strand = here.target<asio::strand<asio::io_context::executor_type>>();
    co_await b.run();
    right = strand->running_in_this_thread();
  });
  CHECK(right);
  CHECK(b.sink.last->committed);
}
