#include "support/backup_bench.hpp"

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <thread>

using bench = backup_bench;
using contrail::errc;
using contrail::kind;
using namespace std::chrono_literals;
namespace number = contrail::event_number;

TEST_CASE("backup: all that the engine has, and the manifest", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.world->state = std::string("\0\1opaque", 8);
  REQUIRE_FALSE(back_up(b, context));
  check_set(b, {"a", "b"});
  const contrail::manifest& info = b.sink.last->info;
  CHECK(contrail::is_set_id(info.set));
  CHECK(info.set == b.sink.last->header.set);
  CHECK(b.sink.last->header.engine == "synthetic");
  CHECK(info.what == kind::full);
  CHECK(info.engine == "synthetic");
  CHECK(info.engine_version == "1");
  CHECK(info.engine_state == b.world->state);
  CHECK(info.at.position == 7);
  CHECK(info.logs.first == 3);
  CHECK(info.logs.end == 5);
  CHECK(info.databases[0].restore_name == "a");
  CHECK(info.databases[0].pages == 5);
  CHECK(info.pages == 7);
  CHECK(info.page_bytes == page);
  CHECK(info.created_unix_ns > 0);
  CHECK(info.parent.empty());
  CHECK(b.report.set == info.set);
  CHECK(b.report.engine == "synthetic");
  CHECK(b.report.files == 4);
  CHECK(b.report.bytes == 8 * page + 3000 + 4000);
  CHECK(b.report.pages_retried == 0);
  CHECK(b.report.failed_databases.empty());
  CHECK_FALSE(b.report.recorded);
  CHECK(b.world->recorded.size() == 1);
  CHECK(b.world->deleted.empty());
  CHECK(b.progress.bytes_accepted == b.report.bytes);
  CHECK(b.events.numbers.back() == number::ended);
}

TEST_CASE("backup: in little memory", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.world->databases[0].files[0].content = pattern_bytes(700 * page);
  b.options.memory = GENERATE(std::size_t{1} << 20, std::size_t{3} << 20, std::size_t{64} << 20);
  b.options.lanes = GENERATE(1U, 3U, 64U);
  REQUIRE_FALSE(back_up(b, context));
  check_set(b, {"a", "b"});
}

TEST_CASE("backup: requests that make no sense touch nothing", "[backup]") {
  asio::io_context context;
  bench b(context);
  std::string word;
  SECTION("memory") {
    b.options.memory = (std::size_t{1} << 20) - 1;
    word = "1048576";
  }
  SECTION("lanes") {
    b.options.lanes = 0;
    word = "lane";
  }
  SECTION("truncation where the engine has none") {
    b.world->traits.truncate = false;
    b.options.truncate_logs = true;
    word = "synthetic";
  }
  SECTION("truncation by a copy") {
    b.options.what = kind::copy;
    b.options.truncate_logs = true;
    word = "copy";
  }
  bool ran = false;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    try {
      co_await b.run();
    } catch (const contrail::error& e) {
      ran = e.code() == errc::invalid_parameter;
      CHECK_THAT(e.what(), Catch::Contains(word));
    }
  });
  CHECK(ran);
  CHECK(b.world->begun == 0);
  CHECK(b.sink.sets.empty());
}

TEST_CASE("backup: a run that is refused makes nothing in the sink", "[backup]") {
  asio::io_context context;
  bench b(context);
  const std::string_view names[] = {"a", "nobody"};
  errc expected{};
  SECTION("by the engine's status") { b.world->status = make_error_code(expected = errc::backup_not_allowed_yet); }
  SECTION("by the claim") {
    b.world->slot = true;
    expected = errc::backup_in_progress;
  }
  SECTION("by the engine's begin") { b.world->begin_fails = expected = errc::logging_disabled; }
  SECTION("because the databases cannot be listed") { b.world->databases_fail = expected = errc::disk_io; }
  SECTION("because there is none") {
    b.world->databases.clear();
    expected = errc::database_not_found;
  }
  SECTION("because one is unknown") {
    b.options.databases = names;
    expected = errc::database_not_found;
  }
  SECTION("because the kind cannot be had") {
    b.world->traits.incremental = false;
    b.options.what = kind::incremental;
    expected = errc::invalid_backup;
  }
  SECTION("because there is no parent") {
    for (auto& d : b.world->databases) d.last_full = recorded(2);
    b.options.what = kind::incremental;
    expected = errc::missing_full_backup;
  }
  std::error_code ec;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const std::error_code got = co_await outcome_of(b.run());
    ec = got;
  });
  CHECK(ec == expected);
  CHECK(b.sink.sets.empty());
  b.world->slot = false;
  CHECK(b.world->idle());
}

TEST_CASE("backup: chosen databases, by either name, once", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.world->databases[1].restore_name = "other";
  const std::string_view names[] = {"other", "b"};
  b.options.databases = names;
  REQUIRE_FALSE(back_up(b, context));
  check_set(b, {"b"});
  CHECK(b.world->recorded.at(0).complete.size() == 1);
}

TEST_CASE("backup: a database with a bad page is left out, the others are good", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.world->databases[0].files[0].content = pattern_bytes(200 * page);
  b.world->databases[0].files[0].fails_at[150 * page] = errc::read_verify_failure;   // not in the first chunk
  SECTION("one") {
    REQUIRE_FALSE(back_up(b, context));
    check_set(b, {"b"});
    REQUIRE(b.report.failed_databases.size() == 1);
    CHECK(b.report.failed_databases[0].first == "a");
    CHECK(b.report.failed_databases[0].second == errc::read_verify_failure);
    CHECK(b.events.has(number::database_failed));
    CHECK(b.world->recorded.at(0).complete.size() == 1);
  }
  SECTION("all") {
    b.world->databases[1].files[0].fails_at[0] = errc::page_number_mismatch;
    CHECK(back_up(b, context) == errc::read_verify_failure);
    CHECK(b.world->recorded.empty());
  }
  SECTION("a sink that cannot drop fails the whole") {
    b.sink.faults->drop = 0;
    CHECK(back_up(b, context) == std::errc::no_space_on_device);
  }
}

TEST_CASE("backup: whatever fails, the first error is told and nothing is left", "[backup]") {
  asio::io_context context;
  bench b(context);
  std::error_code expected = b.sink.faults->error;
  SECTION("sink: begin") { b.sink.faults->begin = 0; }
  SECTION("sink: open") { b.sink.faults->open = 0; }
  SECTION("sink: write") { b.sink.faults->write = 1; }
  SECTION("sink: close") { b.sink.faults->close = 3; }
  SECTION("sink: commit") { b.sink.faults->commit = 0; }
  SECTION("sink: write, then abort too") {
    b.sink.faults->write = 1;
    b.sink.faults->abort = 0;
    std::error_code ec;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const std::error_code got = co_await outcome_of(b.run());
      ec = got;
    });
    CHECK(ec == expected);
    CHECK(b.world->idle());
    return;
  }
  SECTION("engine: close generation") {
    b.world->close_generation_fails = errc::log_write_fail;
    expected = make_error_code(errc::log_write_fail);
  }
  SECTION("engine: list of logs") {
    b.world->logs_fail = errc::disk_io;
    expected = make_error_code(errc::disk_io);
  }
  SECTION("engine: a log that cannot be read") {
    b.world->logs.at(4).fails_at[0] = errc::log_read_verify_failure;
    expected = make_error_code(errc::log_read_verify_failure);
  }
  SECTION("engine: the last check before the commit") {
    b.world->state_fails = errc::source_replaced;
    expected = make_error_code(errc::source_replaced);
  }
  SECTION("engine: the pin is lost while the copy runs") {
    b.sink.faults->on_call = [&](const char* what) {
      if (std::string_view(what) == "close" && b.world->on_lost) b.world->on_lost(make_error_code(errc::term_in_progress));
    };
    expected = make_error_code(errc::backup_abort_by_server);
  }
  CHECK(back_up(b, context) == expected);
  CHECK(b.world->recorded.empty());
  CHECK(b.world->ended_committed == 0);
}

TEST_CASE("backup: truncation and record after the commit leave the set good", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.options.truncate_logs = true;
  bool committed_first = true;
  b.sink.faults->on_call = [&](const char* what) {
    if (std::string_view(what) == "commit") committed_first = b.world->deleted.empty();
  };
  SECTION("all well") {
    REQUIRE_FALSE(back_up(b, context));
    CHECK(b.report.truncated.first == 1);
    CHECK(b.report.truncated.end == 3);
    CHECK(b.world->deleted.size() == 2);
    CHECK(b.world->recorded.at(0).truncated);
  }
  SECTION("truncation fails") {
    b.world->delete_fails_at = 2;
    REQUIRE_FALSE(back_up(b, context));
    CHECK(b.report.truncation == errc::file_access_denied);
    CHECK_FALSE(b.report.recorded);
  }
  SECTION("the record fails") {
    b.world->record_fails = errc::disk_full;
    REQUIRE_FALSE(back_up(b, context));
    CHECK(b.report.recorded == errc::disk_full);
  }
  SECTION("the pin is lost after the commit began") {
    b.sink.faults->on_call = [&](const char* what) {
      if (std::string_view(what) == "commit") b.world->on_lost(make_error_code(errc::term_in_progress));
    };
    REQUIRE_FALSE(back_up(b, context));
    CHECK(b.report.recorded == errc::backup_abort_by_server);
    CHECK(b.report.truncation == errc::backup_abort_by_server);
    CHECK(b.world->deleted.empty());
  }
  CHECK(b.sink.last->committed);
  CHECK(committed_first);
}

TEST_CASE("backup: limits of the pin end it before the commit", "[backup]") {
  asio::io_context context;
  bench b(context);
  errc expected{};
  SECTION("log growth") {
    b.options.max_log_growth = 1000;
    expected = errc::pin_too_large;
    // Seen first by the last check: the logs are copied, no chunk is left, no timer has fired.
    b.sink.faults->on_call = [&](const char* what) {
      if (std::string_view(what) == "close" && b.sink.last->order.back() == "log4") b.world->log_growth = 1001;
    };
  }
  SECTION("age, as after a suspension: the sink hangs, and the timer has not come yet") {
    b.options.max_pin_age = 1s;
    expected = errc::pin_too_old;
    b.sink.faults->on_call = [&](const char* what) {
      if (std::string_view(what) == "close" && b.sink.last->order.back() == "log4") std::this_thread::sleep_for(1100ms);
    };
  }
  CHECK(back_up(b, context) == expected);
  CHECK(b.world->recorded.empty());
}

TEST_CASE("backup: incremental on a parent", "[backup]") {
  asio::io_context context;
  bench b(context);
  for (auto& d : b.world->databases) d.last_full = recorded(2);
  contrail::manifest base;
  base.set = "20260101T000000Z-00000001";
  base.at.position = 3;
  base.databases.emplace_back();
  base.databases.back().restore_name = "a";
  b.parent = std::make_shared<const contrail::manifest>(base);
  b.options.what = GENERATE(kind::incremental, kind::differential);
  REQUIRE_FALSE(back_up(b, context));
  const contrail::manifest& info = b.sink.last->info;
  CHECK(info.what == b.options.what);
  CHECK(info.parent == base.set);
  CHECK(info.parent_mark == base.at);
  CHECK(info.at.position == 7);
  CHECK(info.logs.first == 1);
  CHECK(b.sink.last->files.size() == 4);
  CHECK(info.databases.size() == 1);
  CHECK(b.world->seen.parent == b.parent);
}

TEST_CASE("backup: a copy is recorded as one", "[backup]") {
  asio::io_context context;
  bench b(context);
  b.options.what = kind::copy;
  REQUIRE_FALSE(back_up(b, context));
  CHECK(b.world->recorded.at(0).what == kind::copy);
  CHECK_FALSE(b.world->seen.retain);
}
