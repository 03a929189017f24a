#pragma once

#include "support/memory_sink.hpp"
#include "support/outcome.hpp"
#include "support/run.hpp"
#include "support/synthetic_engine.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup_session.hpp>
#include <contrail/io/buffer_pool.hpp>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>


inline constexpr std::size_t page = 4096;

inline contrail::database_info::recorded recorded(contrail::generation last) {
  contrail::database_info::recorded r;
  r.last = last;
  return r;
}

inline synthetic::world_ptr small_world() {
  auto w = std::make_shared<synthetic::world>();
  auto& a = w->add_database("a", pattern_bytes(5 * page));
  a.files[0].granularity = page;
  a.files[0].trailer = pattern_bytes(page, 9);
  auto& b = w->add_database("b", pattern_bytes(2 * page, 2));
  b.files[0].granularity = page;
  for (contrail::generation g = 1; g <= 4; ++g) w->add_log(g, pattern_bytes(g * 1000, static_cast<unsigned>(g)));
  w->checkpoint = 3;
  return w;
}

/// A session on the synthetic engine, and a set that its copies go to.
struct desk {
  explicit desk(asio::io_context& c, synthetic::world_ptr w = small_world())
      : context(c), world(std::move(w)), engine(c.get_executor(), world), pool(c.get_executor(), 4, 2 * page) {
    options.events = &events;
    options.progress = &progress;
  }
  asio::io_context& context;
  synthetic::world_ptr world;
  event_log events;
  contrail::progress progress;
  contrail::session_options options;
  synthetic::engine engine;
  contrail::io::buffer_pool pool;
  memory_sink sink;
  std::unique_ptr<contrail::set_writer> writer;
  contrail::transfer_options how;

  asio::awaitable<contrail::backup_session> begin() {
    auto started = contrail::backup_session::begin(engine, options);
    return started;
  }
  asio::awaitable<void> begin_set() {
    const contrail::set_header header;
    std::unique_ptr<contrail::set_writer> made = co_await sink.begin(header);
    writer = std::move(made);
  }
  contrail::database_id id(std::size_t i) const { return world->databases[i].number; }
};

inline asio::awaitable<void> nap(std::chrono::microseconds time) {
  auto ex = co_await asio::this_coro::executor;
  asio::steady_timer timer(ex, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Runs `body(desk)` to its end and checks that the engine is free afterwards.
template <typename Body>
void with_desk(Body body, synthetic::world_ptr world = small_world(), unsigned threads = 1) {
  asio::io_context context(static_cast<int>(threads));
  desk d(context, world);
  bool ran = false;
  run_on(context, threads, [&]() -> asio::awaitable<void> {
    co_await body(d);
    ran = true;
  });
  CHECK(ran);
  CHECK(world->idle());
  CHECK(d.pool.free_count() == d.pool.count());
}

inline asio::awaitable<std::string> read_to_end(contrail::backup_session* s, contrail::file_handle h, std::size_t at_once) {
  std::string all, buffer(at_once, '\0');
  for (;;) {
    const std::size_t n = co_await s->read(h, asio::buffer(buffer));
    if (n == 0) co_return all;
    all.append(buffer, 0, n);
  }
}

inline asio::awaitable<void> copy_everything(desk* d, contrail::backup_session* s) {
  co_await d->begin_set();
  co_await s->copy(d->id(0), *d->writer, d->pool, d->how);
  co_await s->copy(d->id(1), *d->writer, d->pool, d->how);
  const contrail::log_range logs = co_await s->prepare_logs();
  static_cast<void>(logs);
  co_await s->copy_logs(*d->writer, d->pool, d->how);
}
