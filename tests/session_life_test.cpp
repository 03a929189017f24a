#include "support/session_desk.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using contrail::backup_session;
using contrail::errc;
using contrail::session_options;
using ending = backup_session::ending;
using namespace std::chrono_literals;
namespace number = contrail::event_number;

TEST_CASE("session: stop answers -801 to everything but close, end and abort", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    const auto opened = co_await s.open("a");
    const contrail::stop_handle handle = s.stopper();
    handle.stop();
    handle.stop();
    std::string buffer(page, '\0');
    co_await d.begin_set();
    std::error_code ec;
    std::vector<std::error_code> got;
    ec = co_await outcome_of(s.databases());
    got.push_back(ec);
    ec = co_await outcome_of(s.marked());
    got.push_back(ec);
    ec = co_await outcome_of(s.open("b"));
    got.push_back(ec);
    ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer)));
    got.push_back(ec);
    ec = co_await outcome_of(s.copy(d.id(1), *d.writer, d.pool, d.how));
    got.push_back(ec);
    ec = co_await outcome_of(s.prepare_logs());
    got.push_back(ec);
    ec = co_await outcome_of(s.copy_logs(*d.writer, d.pool, d.how));
    got.push_back(ec);
    ec = co_await outcome_of(s.state());
    got.push_back(ec);
    ec = co_await outcome_of(s.truncatable_logs());
    got.push_back(ec);
    ec = co_await outcome_of(s.truncate_logs());
    got.push_back(ec);
    for (const std::error_code& one : got) CHECK(one == errc::backup_abort_by_server);
    co_await s.close(opened.first);
    const std::error_code normal = co_await outcome_of(s.end(ending::normal));
    CHECK(normal == errc::backup_abort_by_server);
    CHECK(d.world->pins == 0);
    CHECK(d.events.has(number::ended_by_server));
    handle.stop();
    const std::error_code after = co_await outcome_of(s.databases());
    CHECK(after == errc::no_backup);
    // The next session is not stopped.
    backup_session t = co_await d.begin();
    const auto list = co_await t.databases();
    CHECK(list.size() == 2);
    const std::error_code deliberate = co_await t.end(ending::abort);
    CHECK_FALSE(deliberate);
  });
}

TEST_CASE("session: stopped from a foreign thread in the middle of a read and of a copy", "[session]") {
  auto world = small_world();
  world->read_time = 1h;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        for (const bool copy : {false, true}) {
          backup_session s = co_await d.begin();
          co_await d.begin_set();
          std::thread other([handle = s.stopper(), &d] {
            while (d.world->reads == 0) std::this_thread::yield();
            handle.stop();
          });
          std::error_code ec;
          if (copy) {
            const std::error_code got = co_await outcome_of(s.copy(d.id(0), *d.writer, d.pool, d.how));
            ec = got;
          } else {
            const auto opened = co_await s.open("a");
            std::string buffer(3 * page, '\0');
            const std::error_code got = co_await outcome_of(s.read(opened.first, asio::buffer(buffer)));
            ec = got;
          }
          other.join();
          CHECK(ec == errc::backup_abort_by_server);
          CHECK(d.world->held == 0);
          co_await s.abort();
        }
      },
      world, 2);
}

TEST_CASE("session: the engine that loses the pin ends the session", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    d.world->on_lost(make_error_code(errc::source_replaced));
    try {
      const auto list = co_await s.databases();
      FAIL(list.size());
    } catch (const contrail::error& e) {
      CHECK(e.code() == errc::backup_abort_by_server);
      CHECK_THAT(e.what(), Catch::Contains("removed or replaced"));
    }
    const std::error_code ec = co_await outcome_of(s.end(ending::normal));
    CHECK(ec == errc::backup_abort_by_server);
  });
}

TEST_CASE("session: abort in the middle of calls, twice at once", "[session]") {
  auto world = small_world();
  world->read_time = 1h;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        auto here = co_await asio::this_coro::executor;
        backup_session s = co_await d.begin();
        co_await d.begin_set();
        int over = 0;
        std::error_code code;
        const auto copier = [](desk* on, backup_session* with, std::error_code* out, int* n) -> asio::awaitable<void> {
          const std::error_code ec = co_await outcome_of(with->copy(on->id(0), *on->writer, on->pool, on->how));
          *out = ec;
          ++*n;
        };
        const auto aborter = [](backup_session* with, desk* on, int* n) -> asio::awaitable<void> {
          co_await with->abort();
          CHECK(on->world->pins == 0);
          CHECK_FALSE(on->world->slot);
          ++*n;
        };
        asio::co_spawn(here, copier(&d, &s, &code, &over), [](std::exception_ptr) {});
        while (d.world->reads == 0) co_await nap(50us);
        asio::co_spawn(here, aborter(&s, &d, &over), [](std::exception_ptr) {});
        asio::co_spawn(here, aborter(&s, &d, &over), [](std::exception_ptr) {});
        while (over != 3) co_await nap(50us);
        CHECK(code == errc::backup_abort_by_caller);
        CHECK(d.world->ended_aborted == 1);
        co_await s.abort();
      },
      world);
}

TEST_CASE("session: cancelling a call cancels that call", "[session]") {
  auto world = small_world();
  world->read_time = 1h;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        auto here = co_await asio::this_coro::executor;
        backup_session s = co_await d.begin();
        const auto opened = co_await s.open("a");
        std::string buffer(3 * page, '\0');
        asio::cancellation_signal signal;
        bool over = false;
        std::error_code code;
        const auto reader = [](backup_session* on, contrail::file_handle h, std::string* into, std::error_code* out, bool* done) -> asio::awaitable<void> {
          const std::error_code ec = co_await outcome_of(on->read(h, asio::buffer(*into)));
          *out = ec;
          *done = true;
        };
        asio::co_spawn(here, reader(&s, opened.first, &buffer, &code, &over), asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
        while (d.world->reads == 0) co_await nap(50us);
        signal.emit(asio::cancellation_type::terminal);
        while (!over) co_await nap(50us);
        CHECK(code == asio::error::operation_aborted);
        d.world->read_time = 0us;
        const std::string all = co_await read_to_end(&s, opened.first, 3 * page);   // from where it was
        CHECK(all == d.world->databases[0].files[0].content + d.world->databases[0].files[0].trailer);
        co_await s.close(opened.first);
        CHECK(d.events.has(number::copy_complete));
        co_await s.abort();
      },
      world);
}

TEST_CASE("session: begin cancelled at every turn leaves no pin", "[session]") {
  int began = 0, cut_short = 0;
  for (int k = 0; k < 60; ++k) {
    asio::io_context context;
    desk d(context);
    d.world->begin_turns = 20;
    asio::cancellation_signal signal;
    bool over = false;
    auto ex = asio::make_strand(context.get_executor());
    auto done = [&](std::exception_ptr e, backup_session s) {
      over = true;
      ++(e ? cut_short : began);
      if (e) CHECK((d.world->pins == 0 && !d.world->slot));   // at once, not only after a clean-up in the background
      const backup_session dropped = std::move(s);   // destroyed here: its clean-up goes to the engine's scope
    };
    asio::co_spawn(ex, d.begin(), asio::bind_cancellation_slot(signal.slot(), std::move(done)));
    for (int i = 0; i < k; ++i) context.run_one();
    asio::post(ex, [&] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    CHECK(over);
    CHECK(d.world->idle());
  }
  CHECK(began > 0);
  CHECK(cut_short > 5);
}

TEST_CASE("session: prepare_logs cancelled at every turn never closes a generation twice", "[session]") {
  int done_well = 0, ended = 0, untouched = 0;
  for (int k = 0; k < 40; ++k) {
    asio::io_context context;
    desk d(context);
    auto ex = asio::make_strand(context.get_executor());
    asio::cancellation_signal signal;
    const auto body = [](desk* on, asio::cancellation_signal* cancel, int turns, int* counts) -> asio::awaitable<void> {
      auto here = co_await asio::this_coro::executor;
      backup_session s = co_await on->begin();
      bool over = false;
      std::error_code code;
      const auto one = [](backup_session* with, std::error_code* out, bool* flag) -> asio::awaitable<void> {
        const std::error_code ec = co_await outcome_of(with->prepare_logs());
        *out = ec;
        *flag = true;
      };
      asio::co_spawn(here, one(&s, &code, &over), asio::bind_cancellation_slot(cancel->slot(), [](std::exception_ptr) {}));
      for (int i = 0; i < turns; ++i) co_await asio::post(here, asio::use_awaitable);
      cancel->emit(asio::cancellation_type::terminal);
      while (!over) co_await nap(20us);
      const std::error_code again = co_await outcome_of(s.prepare_logs());
      if (!code) {
        CHECK_FALSE(again);
        ++counts[0];
      } else if (again == errc::no_backup) {
        CHECK(code == asio::error::operation_aborted);
        CHECK(on->world->pins == 0);
        ++counts[1];
      } else {
        CHECK_FALSE(again);   // cancelled before it began
        ++counts[2];
      }
      CHECK(on->world->generations_closed <= 1);
      co_await s.abort();
    };
    int counts[3] = {0, 0, 0};
    bool ran = false;
    asio::co_spawn(ex, body(&d, &signal, k, counts), [&ran](std::exception_ptr e) { ran = !e; });
    context.run();
    CHECK(ran);
    done_well += counts[0];
    ended += counts[1];
    untouched += counts[2];
    CHECK(d.world->idle());
  }
  CHECK(done_well > 0);
  CHECK(ended > 0);
  CHECK(done_well + ended + untouched == 40);
}

TEST_CASE("session: destroyed while it runs, its clean-up is joined by the engine and begin answers -505 until then", "[session]") {
  auto world = small_world();
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        auto here = co_await asio::this_coro::executor;
        for (const bool reading : {false, true}) {
          bool over = !reading;
          std::error_code code;
          std::string buffer(3 * page, '\0');
          {
            backup_session s = co_await d.begin();
            if (reading) {
              const auto opened = co_await s.open("a");
              d.world->read_time = 1h;
              const auto reader = [](asio::awaitable<std::size_t> work, std::error_code* out, bool* done) -> asio::awaitable<void> {
                const std::error_code ec = co_await outcome_of(std::move(work));
                *out = ec;
                *done = true;
              };
              asio::co_spawn(here, reader(s.read(opened.first, asio::buffer(buffer)), &code, &over), [](std::exception_ptr) {});
              while (d.world->reads == 0) co_await nap(50us);
            }
          }
          CHECK(d.world->slot);
          const std::error_code ec = co_await outcome_of(d.begin());
          CHECK(ec == errc::backup_in_progress);
          co_await d.engine.close();
          CHECK(d.world->idle());
          while (!over) co_await nap(50us);
          if (reading) CHECK(code == errc::backup_abort_by_caller);
          d.world->read_time = 0us;
          co_await d.engine.close();   // nothing to join
          backup_session again = co_await d.begin();
          co_await again.abort();
        }
      },
      world);
}

TEST_CASE("session: move-only, and assigned over a running one", "[session]") {
  static_assert(!std::is_copy_constructible_v<backup_session>);
  static_assert(std::is_nothrow_move_constructible_v<backup_session>);
  with_desk([](desk& d) -> asio::awaitable<void> {
    std::optional<backup_session> holder;
    {
      backup_session s = co_await d.begin();
      holder.emplace(std::move(s));
    }
    CHECK(d.world->pins == 1);
    backup_session t = std::move(*holder);
    t = backup_session();
    co_await d.engine.close();
    CHECK(d.world->idle());
  });
}

TEST_CASE("session: context destroyed at every turn frees the engine", "[session]") {
  for (int k = 0; k < 160; ++k) {
    auto world = small_world();
    {
      asio::io_context context;
      auto d = std::make_shared<desk>(context, world);
      const auto body = [](std::shared_ptr<desk> on) -> asio::awaitable<void> {
        backup_session s = co_await on->begin();
        co_await copy_everything(on.get(), &s);
        const std::error_code told = co_await s.end(ending::normal);
        static_cast<void>(told);
      };
      // The desk outlives the context, as an engine and a sink on the user's stack may.
      asio::co_spawn(asio::make_strand(context.get_executor()), body(d), [](std::exception_ptr) {});
      for (int i = 0; i < k; ++i) context.run_one();
    }
    CHECK(world->idle());
  }
}

TEST_CASE("session: an object kept beyond its context is harmless", "[session]") {
  for (int k = 0; k < 40; ++k) {
    auto world = small_world();
    backup_session kept;
    contrail::stop_handle handle;
    {
      asio::io_context context;
      desk d(context, world);
      const auto body = [](desk* on, backup_session* out, contrail::stop_handle* stop) -> asio::awaitable<void> {
        backup_session s = co_await on->begin();
        *stop = s.stopper();
        *out = std::move(s);
        const auto opened = co_await out->open("a");
        std::string buffer(3 * page, '\0');
        const std::size_t n = co_await out->read(opened.first, asio::buffer(buffer));
        static_cast<void>(n);
      };
      asio::co_spawn(context, body(&d, &kept, &handle), [](std::exception_ptr) {});
      for (int i = 0; i < k; ++i) context.run_one();
      static_cast<void>(d);
    }
    CHECK(world->idle());
    handle.stop();
    auto unused = kept.databases();   // not awaited: there is nothing to await it on
    asio::io_context other;
    std::error_code ec;
    run_on(other, 1, [&]() -> asio::awaitable<void> {
      const std::error_code got = co_await outcome_of(kept.databases());
      ec = got;
      co_await kept.abort();
    });
    CHECK(ec == errc::no_backup);
  }
}

TEST_CASE("session: two engines at once do not know each other", "[session]") {
  asio::io_context context;
  desk one(context), two(context);
  int done = 0;
  const auto body = [](desk* d, int* n) -> asio::awaitable<void> {
    backup_session s = co_await d->begin();
    co_await copy_everything(d, &s);
    const std::error_code told = co_await s.end(ending::normal);
    if (!told) ++*n;
  };
  for (desk* d : {&one, &two}) asio::co_spawn(context, body(d, &done), [](std::exception_ptr) {});
  context.run();
  CHECK(done == 2);
  CHECK(one.world->idle());
  CHECK(two.world->idle());
  CHECK(one.sink.last->files.size() == 4);
  CHECK(two.sink.last->files.size() == 4);
}

TEST_CASE("session: storm of sessions that read, are cancelled, stopped and destroyed, on three threads", "[session]") {
  synthetic::world_ptr worlds[2] = {small_world(), small_world()};
  for (auto& w : worlds) w->read_time = 300us;
  std::atomic<int> sessions{0}, finished{0};
  {
    asio::io_context context(3);
    std::vector<std::unique_ptr<synthetic::engine>> engines;
    for (auto& w : worlds) engines.push_back(std::make_unique<synthetic::engine>(context.get_executor(), w));
    const auto life = [](synthetic::engine* e, unsigned seed, std::atomic<int>* count, std::atomic<int>* ended) -> asio::awaitable<void> {
      std::mt19937 random{seed};
      auto here = co_await asio::this_coro::executor;
      for (int k = 0; k < 40; ++k) {
        std::optional<backup_session> s;
        const session_options options;
        try {
          backup_session began = co_await backup_session::begin(*e, options);
          s.emplace(std::move(began));
        } catch (const contrail::error& x) {
          if (x.code() != errc::backup_in_progress) std::abort();
        }
        if (!s) {
          co_await nap(200us);
          continue;
        }
        const auto opened = co_await s->open("a");
        std::string buffer(3 * page, '\0');
        asio::cancellation_signal signal;
        bool over = false;
        auto done = [&over](std::exception_ptr, std::size_t) { over = true; };
        asio::co_spawn(here, s->read(opened.first, asio::buffer(buffer)),
                       asio::bind_executor(here, asio::bind_cancellation_slot(signal.slot(), std::move(done))));
        const unsigned what = static_cast<unsigned>(random() % 5);
        co_await nap(std::chrono::microseconds(random() % 600));
        std::thread other;
        if (what == 0) signal.emit(asio::cancellation_type::terminal);
        if (what == 1) other = std::thread([handle = s->stopper()] { handle.stop(); });
        if (what == 2) s.reset();
        while (!over) co_await nap(50us);
        if (other.joinable()) other.join();
        if (s && what == 3) co_await s->abort();
        if (s && what == 4) {
          const std::error_code told = co_await s->end(ending::abort);
          if (told) std::abort();
        }
        ++*count;
      }
      ++*ended;
    };
    for (unsigned i = 0; i < 6; ++i) {
      asio::co_spawn(asio::make_strand(context.get_executor()), life(engines[i % 2].get(), i, &sessions, &finished), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
      });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
    for (auto& t : threads) t.join();
  }
  CHECK(finished == 6);
  CHECK(sessions > 10);
  for (auto& w : worlds) CHECK(w->idle());
}
