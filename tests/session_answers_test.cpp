#include "support/session_desk.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using contrail::backup_session;
using contrail::errc;
using contrail::kind;
using ending = backup_session::ending;
using namespace std::chrono_literals;
namespace number = contrail::event_number;

TEST_CASE("session: a second one is refused, the first undisturbed", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    for (int i = 0; i < 3; ++i) {
      const std::error_code ec = co_await outcome_of(d.begin());
      CHECK(ec == errc::backup_in_progress);
    }
    CHECK(d.world->pins == 1);
    const auto list = co_await s.databases();
    CHECK(list.size() == 2);
    co_await s.abort();
    backup_session again = co_await d.begin();
    co_await again.abort();
  });
}

TEST_CASE("session: without one every call answers -520", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session empty;
    backup_session ended = co_await d.begin();
    co_await ended.abort();
    backup_session moved = co_await d.begin();
    backup_session target = std::move(moved);
    co_await target.abort();
    co_await d.begin_set();
    std::string buffer(page, '\0');
    for (backup_session* s : {&empty, &ended, &moved}) {
      const contrail::file_handle handle;
      const contrail::database_id database;
      std::error_code ec;
      std::vector<std::error_code> got;
      ec = co_await outcome_of(s->databases());
      got.push_back(ec);
      ec = co_await outcome_of(s->marked());
      got.push_back(ec);
      ec = co_await outcome_of(s->open("a"));
      got.push_back(ec);
      ec = co_await outcome_of(s->read(handle, asio::buffer(buffer)));
      got.push_back(ec);
      ec = co_await outcome_of(s->close(handle));
      got.push_back(ec);
      ec = co_await outcome_of(s->copy(database, *d.writer, d.pool, d.how));
      got.push_back(ec);
      ec = co_await outcome_of(s->prepare_logs());
      got.push_back(ec);
      ec = co_await outcome_of(s->copy_logs(*d.writer, d.pool, d.how));
      got.push_back(ec);
      ec = co_await outcome_of(s->state());
      got.push_back(ec);
      ec = co_await outcome_of(s->truncatable_logs());
      got.push_back(ec);
      ec = co_await outcome_of(s->truncate_logs());
      got.push_back(ec);
      ec = co_await outcome_of(s->end(ending::normal));
      got.push_back(ec);
      ec = co_await outcome_of(s->end(ending::abort));
      got.push_back(ec);
      for (const std::error_code& one : got) CHECK(one == errc::no_backup);
      CHECK(got.size() == 13);
      co_await s->abort();   // always possible
      s->stopper().stop();
    }
  });
}

TEST_CASE("session: end before everything was read", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    std::error_code ec = co_await outcome_of(s.end(ending::normal));
    CHECK(ec == errc::backup_abort_by_caller);
    CHECK(d.world->pins == 0);
    backup_session t = co_await d.begin();
    const contrail::log_range logs = co_await t.prepare_logs();
    CHECK(logs.end == 5);
    ec = co_await outcome_of(t.end(ending::normal));   // the logs were not read
    CHECK(ec == errc::backup_abort_by_caller);
    backup_session u = co_await d.begin();
    const std::error_code deliberate = co_await u.end(ending::abort);
    CHECK_FALSE(deliberate);
    CHECK(d.world->recorded.empty());
    CHECK(d.world->ended_aborted == 3);
    CHECK(d.events.has(number::ended_by_caller));
  });
}

TEST_CASE("session: two reads of one file at once", "[session]") {
  auto world = small_world();
  world->read_time = 100ms;   // the close and the second read come in the middle of it
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        auto here = co_await asio::this_coro::executor;
        backup_session s = co_await d.begin();
        const auto opened = co_await s.open("a");
        std::string one(3 * page, '\0'), two(3 * page, '\0');
        int over = 0;
        std::vector<std::error_code> codes(2);
        const auto reader = [](backup_session* on, contrail::file_handle h, std::string* into, std::error_code* out, int* n) -> asio::awaitable<void> {
          const std::error_code ec = co_await outcome_of(on->read(h, asio::buffer(*into)));
          *out = ec;
          ++*n;
        };
        asio::co_spawn(here, reader(&s, opened.first, &one, &codes[0], &over), [](std::exception_ptr) {});
        asio::co_spawn(here, reader(&s, opened.first, &two, &codes[1], &over), [](std::exception_ptr) {});
        while (d.world->most_reads == 0) co_await nap(50us);
        const std::error_code closing = co_await outcome_of(s.close(opened.first));
        CHECK(closing == errc::invalid_backup_sequence);
        while (over != 2) co_await nap(50us);
        CHECK((codes[0] == errc::invalid_backup_sequence) != (codes[1] == errc::invalid_backup_sequence));
        CHECK((!codes[0]) != (!codes[1]));
        co_await s.abort();
      },
      world);
}

TEST_CASE("session: data errors of a database drop it, those of a log cancel", "[session]") {
  auto world = small_world();
  world->databases[0].files[0].fails_at[3 * page] = errc::read_verify_failure;
  world->logs.at(4).fails_at[10] = errc::log_read_verify_failure;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        const auto opened = co_await s.open("a");
        std::string buffer(2 * page, '\0');
        const std::size_t n = co_await s.read(opened.first, asio::buffer(buffer));
        CHECK(n == 2 * page);
        std::error_code ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer)));
        CHECK(ec == errc::read_verify_failure);
        CHECK(d.events.has(number::database_failed));
        ec = co_await outcome_of(s.close(opened.first));   // it is closed already
        CHECK(ec == errc::invalid_parameter);
        const auto b = co_await s.open("b");
        const std::string content = co_await read_to_end(&s, b.first, 4 * page);
        CHECK(content.size() == 2 * page);
        co_await s.close(b.first);
        const bool failed = co_await s.failed(d.id(0));
        const bool other = co_await s.failed(d.id(1));
        CHECK(failed);
        CHECK_FALSE(other);
        const contrail::log_range logs = co_await s.prepare_logs();
        CHECK(logs.first == 3);
        const auto log = co_await s.open("log4");
        ec = co_await outcome_of(s.read(log.first, asio::buffer(buffer)));
        CHECK(ec == errc::log_read_verify_failure);
        CHECK(d.events.has(number::log_read_failed));
        CHECK(d.world->pins == 0);
        CHECK(d.world->ended_aborted == 1);
        ec = co_await outcome_of(s.read(log.first, asio::buffer(buffer)));
        CHECK(ec == errc::no_backup);
      },
      world);
}

TEST_CASE("session: copy leaves a bad database out and truncation minds it", "[session]") {
  auto world = small_world();
  world->databases[0].files[0].fails_at[3 * page] = errc::page_number_mismatch;
  world->databases[0].last_full = recorded(2);
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        co_await d.begin_set();
        std::error_code ec = co_await outcome_of(s.copy(d.id(0), *d.writer, d.pool, d.how));
        CHECK(ec == errc::page_number_mismatch);
        const bool failed = co_await s.failed(d.id(0));
        CHECK(failed);
        CHECK(d.sink.last->dropped == std::vector<std::string>{"a"});
        co_await s.copy(d.id(1), *d.writer, d.pool, d.how);
        contrail::database_id nobody;
        nobody.value = 99;
        ec = co_await outcome_of(s.copy(nobody, *d.writer, d.pool, d.how));
        CHECK(ec == errc::database_not_found);
        ec = co_await outcome_of(s.copy_logs(*d.writer, d.pool, d.how));
        CHECK(ec == errc::invalid_backup_sequence);
        const contrail::log_range may_go = co_await s.truncatable_logs();
        CHECK(may_go.first == 1);
        CHECK(may_go.end == 2);
        co_await s.copy_logs(*d.writer, d.pool, d.how);
        const std::error_code told = co_await s.end(ending::normal);
        CHECK_FALSE(told);
        REQUIRE(d.world->recorded.size() == 1);
        REQUIRE(d.world->recorded[0].complete.size() == 1);
        CHECK(d.world->recorded[0].complete[0] == d.id(1));
        CHECK_FALSE(d.world->recorded[0].truncated);
      },
      world);
}

TEST_CASE("session: events of pages that were read again", "[session]") {
  auto world = small_world();
  world->databases[1].files[0].torn[page] = 2;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        co_await d.begin_set();
        co_await s.copy(d.id(1), *d.writer, d.pool, d.how);
        CHECK(d.events.has(number::read_recovered));
        CHECK(d.progress.reads.pages_retried == 2);
        CHECK(d.sink.last->find("b")->bytes == d.world->databases[1].files[0].content);
        co_await s.abort();
      },
      world);
}

TEST_CASE("session: a failure while the logs are prepared cancels", "[session]") {
  auto world = small_world();
  errc expected{};
  SECTION("the generation cannot be closed") { world->close_generation_fails = expected = errc::log_write_fail; }
  SECTION("the databases cannot be listed") { world->databases_fail = expected = errc::disk_io; }
  with_desk(
      [&](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        const std::error_code ec = co_await outcome_of(s.prepare_logs());
        CHECK(ec == expected);
        CHECK(d.world->pins == 0);
        CHECK(d.world->ended_aborted == 1);
      },
      world);
}

TEST_CASE("session: incremental and differential by logs", "[session]") {
  auto world = small_world();
  const kind what = GENERATE(kind::incremental, kind::differential);
  world->databases[0].last_full = recorded(2);
  world->databases[1].last_full = recorded(0);
  with_desk(
      [what](desk& d) -> asio::awaitable<void> {
        d.options.what = what;
        backup_session s = co_await d.begin();
        CHECK(d.world->seen.retain);
        CHECK(d.events.numbers == std::vector<int>{number::incremental_started});
        std::error_code ec = co_await outcome_of(s.databases());
        CHECK(ec == errc::invalid_backup_sequence);
        ec = co_await outcome_of(s.marked());
        CHECK(ec == errc::invalid_backup_sequence);
        ec = co_await outcome_of(s.open("log1"));
        CHECK(ec == errc::invalid_backup_sequence);
        const contrail::log_range logs = co_await s.prepare_logs();
        CHECK(logs.first == 1);   // all that is on disk
        CHECK(logs.end == 5);
        const contrail::mark m = co_await s.marked();
        CHECK(m.position == 7);
        co_await d.begin_set();
        co_await s.copy_logs(*d.writer, d.pool, d.how);
        CHECK(d.sink.last->files.size() == 4);
        const std::string state = co_await s.state();
        CHECK(state == "state");
        const std::error_code cut = co_await outcome_of(s.truncate_logs());
        CHECK(cut == (what == kind::incremental ? std::error_code() : make_error_code(errc::invalid_parameter)));
        CHECK(d.world->deleted.size() == (what == kind::incremental ? 2U : 0U));
        const std::error_code told = co_await s.end(ending::normal);
        CHECK_FALSE(told);
        CHECK(d.world->recorded.at(0).what == what);
      },
      world);
}

TEST_CASE("session: incremental without its base", "[session]") {
  auto world = small_world();
  world->databases[0].last_full = recorded(2);
  SECTION("a database that has no full backup") {
    with_desk(
        [](desk& d) -> asio::awaitable<void> {
          d.options.what = kind::incremental;
          const std::error_code ec = co_await outcome_of(d.begin());
          CHECK(ec == errc::missing_full_backup);
          CHECK(d.events.numbers == std::vector<int>{number::missing_full_backup});
          CHECK(d.events.texts[0] == "b");
        },
        world);
  }
  SECTION("logs that are gone") {
    world->databases[1].last_full = recorded(0);
    world->logs.erase(1);
    world->logs.erase(2);
    with_desk(
        [](desk& d) -> asio::awaitable<void> {
          d.options.what = kind::incremental;
          backup_session s = co_await d.begin();
          const std::error_code ec = co_await outcome_of(s.prepare_logs());
          CHECK(ec == errc::missing_file_to_backup);
          CHECK(d.events.has(number::log_missing));
          CHECK(d.world->pins == 0);
        },
        world);
  }
}

TEST_CASE("session: truncation that fails in the middle leaves a gapless tail and the session alive", "[session]") {
  auto world = small_world();
  world->checkpoint = 4;
  world->delete_fails_at = 2;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        co_await copy_everything(&d, &s);
        const std::error_code ec = co_await outcome_of(s.truncate_logs());
        CHECK(ec == errc::file_access_denied);
        CHECK(d.world->deleted == std::vector<contrail::generation>{1});
        const std::error_code told = co_await s.end(ending::normal);
        CHECK_FALSE(told);
        CHECK(d.world->recorded.at(0).truncated);   // set before deleting
      },
      world);
}

TEST_CASE("session: an end that cannot be recorded is still good", "[session]") {
  auto world = small_world();
  world->record_fails = errc::disk_full;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        co_await copy_everything(&d, &s);
        const std::error_code told = co_await s.end(ending::normal);
        CHECK(told == errc::disk_full);
        CHECK(d.world->ended_committed == 1);
        CHECK(d.events.has(number::record_failed));
        CHECK(d.events.has(number::ended));
      },
      world);
}

TEST_CASE("session: a pin that cannot be released in order is released all the same", "[session]") {
  auto world = small_world();
  world->end_fails = errc::disk_io;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        backup_session s = co_await d.begin();
        co_await s.abort();
        co_await s.abort();
        CHECK(d.world->idle());
      },
      world);
}
