#pragma once

#include "support/session_desk.hpp"

#include <contrail/backup.hpp>
#include <contrail/manifest.hpp>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

/// Everything of one backup() in memory.
struct backup_bench {
  explicit backup_bench(asio::io_context& c, synthetic::world_ptr w = small_world()) : world(std::move(w)), engine(c.get_executor(), world) {
    options.events = &events;
    options.progress = &progress;
  }
  synthetic::world_ptr world;
  event_log events;
  contrail::progress progress;
  contrail::backup_options options;
  synthetic::engine engine;
  memory_sink sink;
  std::shared_ptr<const contrail::manifest> parent;
  contrail::backup_report report;

  asio::awaitable<void> run() {
    contrail::backup_report got = co_await contrail::backup(engine, sink, options, parent);
    report = std::move(got);
  }
};

/// Runs one backup to its end; the error is returned, and the engine and the sink are found as they should be.
inline std::error_code back_up(backup_bench& b, asio::io_context& context) {
  std::error_code ec;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const std::error_code got = co_await outcome_of(b.run());
    ec = got;
  });
  CHECK(b.world->idle());
  CHECK(b.sink.last->broken_rules.empty());
  if (b.sink.last->begun) CHECK(b.sink.last->destroyed);
  if (ec && b.sink.last->begun) {
    CHECK_FALSE(b.sink.last->committed);
    CHECK(b.sink.last->aborted);
  }
  return ec;
}

/// The set holds the databases of `names`, and the logs.
inline void check_set(const backup_bench& b, const std::vector<std::string>& names) {
  const memory_set& set = *b.sink.last;
  REQUIRE(set.committed);
  CHECK_FALSE(set.aborted);
  CHECK(set.info.databases.size() == names.size());
  for (const synthetic::database& d : b.world->databases) {
    const bool wanted = std::find(names.begin(), names.end(), d.name) != names.end();
    const auto* f = set.find(d.name);
    CHECK((f != nullptr) == wanted);
    if (f != nullptr) CHECK(f->bytes == d.files[0].content + d.files[0].trailer);
  }
  for (contrail::generation g = set.info.logs.first; g < set.info.logs.end; ++g) {
    const auto* f = set.find("log" + std::to_string(g));
    REQUIRE(f != nullptr);
    CHECK(f->info.log == g);
  }
  CHECK(set.files.size() == names.size() + (set.info.logs.end - set.info.logs.first));
}
