#include "support/session_desk.hpp"

#include <asio/io_context.hpp>
#include <asio/strand.hpp>
#include <asio/use_future.hpp>
#include <catch2/catch.hpp>

#include <future>
#include <memory>
#include <string>
#include <thread>

using contrail::backup_session;
using contrail::errc;
using ending = backup_session::ending;
using namespace std::chrono_literals;

TEST_CASE("session: limits of the pin", "[session]") {
  auto world = small_world();
  errc expected{};
  const auto body = [&](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    co_await d.begin_set();
    d.world->log_growth = 1001;
    if (expected == errc::pin_too_old) co_await nap(1100ms);
    const std::error_code ec = co_await outcome_of(s.copy(d.id(0), *d.writer, d.pool, d.how));
    CHECK(ec == expected);
    const std::error_code next = co_await outcome_of(s.prepare_logs());
    CHECK(next == expected);
    const std::error_code last = co_await outcome_of(s.end(ending::normal));
    CHECK(last == expected);
    CHECK(d.world->recorded.empty());
  };
  asio::io_context context;
  desk d(context, world);
  SECTION("age") {
    expected = errc::pin_too_old;
    d.options.max_pin_age = 1s;
  }
  SECTION("log") {
    expected = errc::pin_too_large;
    d.options.max_log_growth = 1000;
  }
  bool ran = false;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    co_await body(d);
    ran = true;
  });
  CHECK(ran);
  CHECK(world->idle());
}

TEST_CASE("session: limits are asked before every step that leads to a commit", "[session]") {
  auto world = small_world();
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        d.options.max_log_growth = 1000;
        for (int step = 0; step < 3; ++step) {
          d.world->log_growth = 0;
          backup_session s = co_await d.begin();
          co_await copy_everything(&d, &s);
          // Without a turn of the loop between: no timer can have seen it.
          d.world->log_growth = 5000;
          std::error_code ec;
          if (step == 0) {
            const std::error_code got = co_await outcome_of(s.state());
            ec = got;
          } else if (step == 1) {
            const std::error_code got = co_await outcome_of(s.end(ending::normal));
            ec = got;
          } else {
            const std::error_code got = co_await outcome_of(s.truncate_logs());
            ec = got;
          }
          CHECK(ec == errc::pin_too_large);
          co_await s.abort();
          CHECK(d.world->deleted.empty());
        }
        CHECK(d.world->recorded.empty());
        CHECK(d.world->ended_committed == 0);
      },
      world);
}

TEST_CASE("session: a limit that is reached in the middle of a read ends it", "[session]") {
  auto world = small_world();
  world->read_time = 1h;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        d.options.max_pin_age = 1s;
        backup_session s = co_await d.begin();
        const auto opened = co_await s.open("a");
        std::string buffer(3 * page, '\0');
        const std::error_code ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer)));
        CHECK(ec == errc::pin_too_old);
        co_await s.abort();
      },
      world);
}

TEST_CASE("session: token forms", "[session]") {
  asio::io_context context;
  desk d(context);
  const auto ex = context.get_executor();
  std::thread runner;
  {
    auto work = asio::make_work_guard(context);
    runner = std::thread([&] { context.run(); });
    backup_session s = backup_session::async_begin(ex, d.engine, d.options, nullptr, asio::use_future).get();
    CHECK(s.async_databases(ex, asio::use_future).get().size() == 2);
    CHECK(s.async_marked(ex, asio::use_future).get().position == 7);
    const auto opened = s.async_open(ex, "a", asio::use_future).get();
    std::string buffer(3 * page, '\0');
    CHECK(s.async_read(ex, opened.first, asio::buffer(buffer), asio::use_future).get() == 3 * page);
    s.async_close(ex, opened.first, asio::use_future).get();
    CHECK(s.async_prepare_logs(ex, asio::use_future).get().first == 3);
    CHECK(s.async_truncatable_logs(ex, asio::use_future).get().empty());
    std::promise<std::error_code> told;
    s.async_state(ex, [&told](std::exception_ptr e, const std::string&) {
      try {
        std::rethrow_exception(e);
      } catch (const contrail::error& x) {
        told.set_value(x.code());
      }
    });
    CHECK(told.get_future().get() == errc::invalid_backup_sequence);
    CHECK_FALSE(s.async_end(ex, ending::abort, asio::use_future).get());
    s.async_abort(ex, asio::use_future).get();
  }
  runner.join();
  CHECK(d.world->idle());
}

TEST_CASE("session: members come back to whoever awaits", "[session]") {
  asio::io_context context(3);
  desk d(context);
  bool right = true;
  run_on(context, 3, [&]() -> asio::awaitable<void> {
    auto here = co_await asio::this_coro::executor;
    const auto* strand = here.target<asio::strand<asio::io_context::executor_type>>();
    backup_session s = co_await d.begin();
    right = right && strand->running_in_this_thread();
    const auto list = co_await s.databases();
    right = right && strand->running_in_this_thread() && list.size() == 2;
    const std::error_code ec = co_await outcome_of(s.truncate_logs());
    right = right && strand->running_in_this_thread() && ec;
    co_await s.abort();
    right = right && strand->running_in_this_thread();
  });
  CHECK(right);
}
