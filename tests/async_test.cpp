#include "async/event.hpp"
#include "async/kept_strand.hpp"
#include "async/mutex.hpp"
#include "async/on_strand.hpp"
#include "async/task_group.hpp"
#include "async/turnstile.hpp"
#include "support/run.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace contrail::detail;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> turn() {
  auto ex = co_await asio::this_coro::executor;
  co_await asio::post(ex, asio::use_awaitable);
}

asio::awaitable<void> forever() {
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex);
  timer.expires_at(asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> nap(std::chrono::microseconds time) {
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex, time);
  co_await timer.async_wait(asio::use_awaitable);
}

void ignore(std::exception_ptr) {}

struct alive {
  explicit alive(std::atomic<int>& n) : count(n) { ++count; }
  alive(const alive&) = delete;
  alive& operator=(const alive&) = delete;
  ~alive() { --count; }
  std::atomic<int>& count;
};

}  // namespace

TEST_CASE("event: wakes those that wait, by key or all", "[async]") {
  asio::io_context context;
  auto ex = asio::make_strand(context.get_executor());
  event e;
  std::vector<int> woken;
  const auto waiter = [](event* on, std::uint64_t key, std::vector<int>* out) -> asio::awaitable<void> {
    co_await on->wait(key);
    out->push_back(static_cast<int>(key));
  };
  for (std::uint64_t k : {1U, 2U, 3U}) asio::co_spawn(ex, waiter(&e, k, &woken), ignore);
  asio::post(ex, [&] { e.notify(2); });
  context.poll();
  CHECK(woken == std::vector<int>{2});
  asio::post(ex, [&] { e.notify(); });
  context.run();
  CHECK(woken.size() == 3);
}

TEST_CASE("event: a cancelled wait fails, the others go on", "[async]") {
  asio::io_context context;
  auto ex = asio::make_strand(context.get_executor());
  event e;
  int cancelled = 0, notified = 0;
  const auto waiter = [](event* on, int* ok, int* bad) -> asio::awaitable<void> {
    try {
      co_await on->wait();
      ++*ok;
    } catch (const std::system_error& x) {
      if (x.code() == asio::error::operation_aborted) ++*bad;
    }
  };
  asio::cancellation_signal signal;
  asio::co_spawn(ex, waiter(&e, &notified, &cancelled), asio::bind_cancellation_slot(signal.slot(), ignore));
  asio::co_spawn(ex, waiter(&e, &notified, &cancelled), ignore);
  context.poll();
  asio::post(ex, [&] { signal.emit(asio::cancellation_type::terminal); });
  context.poll();
  CHECK(cancelled == 1);
  asio::post(ex, [&] { e.notify(); });
  context.run();
  CHECK(notified == 1);
}

TEST_CASE("event: frames and event may die in any order", "[async]") {
  for (const bool event_first : {false, true}) {
    auto context = std::make_unique<asio::io_context>();
    auto e = std::make_unique<event>();
    const auto waiter = [](event* on) -> asio::awaitable<void> { co_await on->wait(); };
    asio::co_spawn(*context, waiter(e.get()), ignore);
    asio::co_spawn(*context, waiter(e.get()), ignore);
    context->poll();
    if (event_first) e.reset();
    context.reset();
    if (e) e->notify();
    SUCCEED();
  }
}

TEST_CASE("turnstile: lets through in the order of tickets", "[async]") {
  asio::io_context context;
  auto ex = asio::make_strand(context.get_executor());
  turnstile gate;
  std::vector<int> order;
  const auto one = [](turnstile* t, int k, std::vector<int>* out) -> asio::awaitable<void> {
    co_await t->enter(static_cast<std::uint64_t>(k));
    co_await turn();
    out->push_back(k);
    t->leave();
  };
  for (int k : {3, 1, 4, 0, 2}) asio::co_spawn(ex, one(&gate, k, &order), ignore);
  context.run();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE("mutex: one at a time; a cancelled waiter loses nobody's turn", "[async]") {
  asio::io_context context;
  auto ex = asio::make_strand(context.get_executor());
  async_mutex door;
  int inside = 0, most = 0, done = 0, cancelled = 0;
  const auto one = [](async_mutex* m, int* in, int* top, int* count, int* aborted) -> asio::awaitable<void> {
    try {
      const auto mine = co_await m->lock();
      *top = std::max(*top, ++*in);
      co_await turn();
      co_await turn();
      --*in;
      ++*count;
    } catch (const std::system_error&) {
      ++*aborted;
    }
  };
  std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
  for (int i = 0; i < 6; ++i) {
    signals.push_back(std::make_unique<asio::cancellation_signal>());
    asio::co_spawn(ex, one(&door, &inside, &most, &done, &cancelled), asio::bind_cancellation_slot(signals.back()->slot(), ignore));
  }
  for (int i = 0; i < 9; ++i) context.poll_one();
  asio::post(ex, [&] {
    signals[1]->emit(asio::cancellation_type::terminal);
    signals[2]->emit(asio::cancellation_type::terminal);
  });
  context.run();
  CHECK(most == 1);
  CHECK(done + cancelled == 6);
  CHECK(cancelled >= 1);
}

TEST_CASE("task_group: join ends when all children are gone", "[async]") {
  asio::io_context context;
  std::atomic<int> living{0};
  std::string what;
  bool ran = false;

  SECTION("all succeed") {
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      auto ex = co_await asio::this_coro::executor;
      task_group group(ex);
      const auto child = [](std::atomic<int>* n) -> asio::awaitable<void> {
        const alive mine(*n);
        co_await nap(100us);
      };
      for (int i = 0; i < 5; ++i) group.spawn(child(&living));
      co_await group.join();
      ran = living == 0;
    });
  }
  SECTION("the first failure cancels the others and goes up") {
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      auto ex = co_await asio::this_coro::executor;
      task_group group(ex);
      const auto waits = [](std::atomic<int>* n) -> asio::awaitable<void> {
        const alive mine(*n);
        co_await forever();
      };
      const auto fails = []() -> asio::awaitable<void> {
        co_await turn();
        throw std::runtime_error("first");
      };
      group.spawn(waits(&living));
      group.spawn(fails());
      group.spawn(waits(&living));
      try {
        co_await group.join();
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      co_await turn();   // the parent was not cancelled
      ran = living == 0 && what == "first";
    });
  }
  CHECK(ran);
}

TEST_CASE("task_group: a cancelled join cancels and awaits its children", "[async]") {
  asio::io_context context;
  auto ex = asio::make_strand(context.get_executor());
  std::atomic<int> living{0};
  bool aborted = false;
  asio::cancellation_signal signal;
  const auto parent = [](std::atomic<int>* n, bool* out) -> asio::awaitable<void> {
    auto on = co_await asio::this_coro::executor;
    task_group group(on);
    const auto child = [](std::atomic<int>* count) -> asio::awaitable<void> {
      const alive mine(*count);
      co_await forever();
    };
    group.spawn(child(n));
    group.spawn(child(n));
    try {
      co_await group.join();
    } catch (const std::system_error& e) {
      *out = e.code() == asio::error::operation_aborted && *n == 0;
    }
  };
  asio::co_spawn(ex, parent(&living, &aborted), asio::bind_cancellation_slot(signal.slot(), ignore));
  context.poll();
  CHECK(living == 2);
  asio::post(ex, [&] { signal.emit(asio::cancellation_type::terminal); });
  context.run();
  CHECK(aborted);
}

TEST_CASE("task_group: context destroyed at every turn", "[async]") {
  for (int k = 0; k < 40; ++k) {
    std::atomic<int> living{0};
    {
      asio::io_context context;
      const auto parent = [](std::atomic<int>* n) -> asio::awaitable<void> {
        const alive self(*n);
        auto on = co_await asio::this_coro::executor;
        task_group group(on);
        const auto child = [](std::atomic<int>* count) -> asio::awaitable<void> {
          const alive mine(*count);
          for (int i = 0; i < 10; ++i) co_await turn();
        };
        for (int i = 0; i < 3; ++i) group.spawn(child(n));
        co_await group.join();
      };
      asio::co_spawn(asio::make_strand(context.get_executor()), parent(&living), ignore);
      for (int i = 0; i < k; ++i) context.run_one();
    }
    CHECK(living == 0);
  }
}

TEST_CASE("on_strand: the body runs on the strand, the result comes back to the caller", "[async]") {
  asio::io_context context(3);
  bool on_it = false, back = false, thrown = false;
  int value = 0;
  run_on(context, 3, [&]() -> asio::awaitable<void> {
    auto other = asio::make_strand(asio::any_io_executor(context.get_executor()));
    auto here = co_await asio::this_coro::executor;
    const auto body = [](strand_type s, bool* out) -> asio::awaitable<int> {
      co_await turn();
      *out = s.running_in_this_thread();
      co_return 42;
    };
    auto control = make_control(other);
    const int got = co_await on_strand(control, body(other, &on_it));
    value = got;
    back = here.target<asio::strand<asio::io_context::executor_type>>()->running_in_this_thread();
    const auto bad = []() -> asio::awaitable<void> {
      co_await turn();
      throw std::runtime_error("x");
    };
    auto second = make_control(other);
    try {
      co_await on_strand(second, bad());
    } catch (const std::runtime_error&) {
      thrown = true;
    }
  });
  CHECK(value == 42);
  CHECK(on_it);
  CHECK(back);
  CHECK(thrown);
}

TEST_CASE("on_strand: a caller on the plain context does not go on inside the strand", "[async]") {
  asio::io_context context;
  auto other = asio::make_strand(asio::any_io_executor(context.get_executor()));
  int inside = 0, ended = 0;
  const auto caller = [](strand_type s, int* inside_it, int* came_back) -> asio::awaitable<void> {
    const auto body = []() -> asio::awaitable<void> { co_await turn(); };
    for (int i = 0; i < 3; ++i) {
      auto control = make_control(s);
      co_await on_strand(control, body());
      *inside_it += s.running_in_this_thread() ? 1 : 0;
    }
    ++*came_back;
  };
  asio::co_spawn(context, caller(other, &inside, &ended), [](std::exception_ptr e) { REQUIRE(!e); });
  context.run();
  CHECK(ended == 1);
  CHECK(inside == 0);
}

TEST_CASE("on_strand: cancellations from the caller's thread meet the strand's own work", "[async]") {
  // For the thread sanitizer: many calls, each cancelled from its caller at another moment.
  asio::io_context context(3);
  std::atomic<int> over{0}, aborted{0}, living{0};
  const auto body = [](std::atomic<int>* n) -> asio::awaitable<int> {
    const alive mine(*n);
    for (int i = 0; i < 5; ++i) co_await nap(50us);
    co_return 1;
  };
  const auto caller = [&](unsigned seed) -> asio::awaitable<void> {
    auto here = co_await asio::this_coro::executor;
    auto other = asio::make_strand(asio::any_io_executor(context.get_executor()));
    for (unsigned i = 0; i < 60; ++i) {
      asio::cancellation_signal signal;
      bool ended = false;
      auto control = make_control(other);
      auto call = on_strand(control, body(&living));
      auto done = [&ended, &aborted](std::exception_ptr e, int) {
        ended = true;
        aborted += e != nullptr;
      };
      asio::co_spawn(here, std::move(call), asio::bind_executor(here, asio::bind_cancellation_slot(signal.slot(), std::move(done))));
      co_await nap(std::chrono::microseconds((seed * 37 + i * 13) % 300));
      signal.emit(asio::cancellation_type::terminal);
      while (!ended) co_await nap(20us);
      ++over;
    }
  };
  for (unsigned s = 0; s < 4; ++s) asio::co_spawn(asio::make_strand(context.get_executor()), caller(s), ignore);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (auto& t : threads) t.join();
  CHECK(over == 240);
  CHECK(aborted > 0);
  CHECK(living == 0);
}

TEST_CASE("on_strand: context destroyed at every turn", "[async]") {
  for (int k = 0; k < 30; ++k) {
    std::atomic<int> living{0};
    {
      asio::io_context context;
      auto other = asio::make_strand(asio::any_io_executor(context.get_executor()));
      const auto body = [](std::atomic<int>* n) -> asio::awaitable<void> {
        const alive mine(*n);
        for (int i = 0; i < 4; ++i) co_await turn();
        co_await nap(10us);
      };
      const auto caller = [](strand_type s, std::atomic<int>* n, auto work) -> asio::awaitable<void> {
        const alive mine(*n);
        auto control = make_control(s);
        co_await on_strand(control, work(n));
      };
      asio::co_spawn(context, caller(other, &living, body), ignore);
      for (int i = 0; i < k; ++i) context.poll_one();
    }
    CHECK(living == 0);
  }
}

TEST_CASE("kept_strand: lets go when the context ends", "[async]") {
  int gone = 0, ran = 0;
  std::shared_ptr<kept_strand> kept, closed;
  {
    asio::io_context context;
    auto strand = asio::make_strand(asio::any_io_executor(context.get_executor()));
    kept = kept_strand::make(strand);
    closed = kept_strand::make(strand);
    kept->on_gone([&] { ++gone; });
    closed->on_gone([&] { gone += 100; });
    CHECK(kept->post([&] { ++ran; }));
    closed->close();
    CHECK_FALSE(closed->get());
    context.run();
    CHECK(kept->get());
  }
  CHECK(ran == 1);
  CHECK(gone == 1);
  CHECK_FALSE(kept->get());
  CHECK_FALSE(kept->post([&] { ++ran; }));
  kept->close();
  CHECK(ran == 1);
}
