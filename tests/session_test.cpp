#include "support/session_desk.hpp"

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using contrail::backup_session;
using contrail::errc;
using contrail::kind;
using ending = backup_session::ending;
namespace number = contrail::event_number;

TEST_CASE("session: a full backup, as a whole", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    CHECK(d.world->pins == 1);
    CHECK(d.world->slot);
    const auto list = co_await s.databases();
    REQUIRE(list.size() == 2);
    CHECK(list[0].name == "a");
    const contrail::mark m = co_await s.marked();
    CHECK(m.position == 7);
    co_await copy_everything(&d, &s);
    const contrail::log_range again = co_await s.prepare_logs();
    CHECK(again.first == 3);
    CHECK(again.end == 5);
    const std::string state = co_await s.state();
    CHECK(state == "state");
    const contrail::log_range may_go = co_await s.truncatable_logs();
    CHECK(may_go.first == 1);
    CHECK(may_go.end == 3);
    const contrail::log_range gone = co_await s.truncate_logs();
    CHECK(gone == may_go);
    CHECK(d.world->deleted == std::vector<contrail::generation>{1, 2});
    const std::error_code told = co_await s.end(ending::normal);
    CHECK_FALSE(told);
    CHECK(d.world->pins == 0);
    CHECK_FALSE(d.world->slot);
    REQUIRE(d.world->recorded.size() == 1);
    CHECK(d.world->recorded[0].complete.size() == 2);
    CHECK(d.world->recorded[0].truncated);
    CHECK(d.world->recorded[0].logs.first == 3);
    CHECK(d.world->ended_committed == 1);
    CHECK(d.sink.last->files.size() == 4);
    CHECK(d.sink.last->find("log4")->bytes == d.world->logs.at(4).content);
    CHECK(d.events.numbers == std::vector<int>{number::full_started, number::copy_started, number::copy_complete, number::copy_started,
                                               number::copy_complete, number::log_range_known, number::logs_deleted, number::ended});
  });
}

TEST_CASE("session: read by handle, as the C facade does", "[session]") {
  const std::size_t at_once = GENERATE(3U, 5U, 6U, 20U) * page;
  with_desk([at_once](desk& d) -> asio::awaitable<void> {
    d.options.strict = true;
    backup_session s = co_await d.begin();
    for (const auto& db : d.world->databases) {
      const auto opened = co_await s.open(db.name);
      CHECK(opened.second == db.files[0].content.size() + db.files[0].trailer.size());
      std::string buffer(at_once + page, '\0'), got;
      char* const aligned = buffer.data() + (page - reinterpret_cast<std::uintptr_t>(buffer.data()) % page) % page;
      for (;;) {
        const std::size_t n = co_await s.read(opened.first, asio::buffer(aligned, at_once));
        if (n == 0) break;
        got.append(aligned, n);
      }
      CHECK(got == db.files[0].content + db.files[0].trailer);
      co_await s.close(opened.first);
    }
    const contrail::log_range logs = co_await s.prepare_logs();
    for (contrail::generation g = logs.first; g < logs.end; ++g) {
      const auto opened = co_await s.open("log" + std::to_string(g));
      CHECK(opened.second == g * 1000);
      std::string buffer(at_once + page, '\0');
      char* const aligned = buffer.data() + (page - reinterpret_cast<std::uintptr_t>(buffer.data()) % page) % page;
      const std::size_t n = co_await s.read(opened.first, asio::buffer(aligned, at_once));
      CHECK(n == g * 1000);
      co_await s.close(opened.first);
    }
    const std::error_code told = co_await s.end(ending::normal_truncated);
    CHECK_FALSE(told);
    REQUIRE(d.world->recorded.size() == 1);
    CHECK(d.world->recorded[0].complete.size() == 2);
    CHECK(d.world->recorded[0].truncated);
    CHECK(d.events.has(number::copy_complete));
    CHECK_FALSE(d.events.has(number::copy_stopped));
  });
}

TEST_CASE("session: answers of table 2.3 by handle", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    std::string buffer(3 * page, '\0');
    const contrail::file_handle stranger{77};
    std::error_code ec = co_await outcome_of(s.open("nobody"));
    CHECK(ec == errc::database_not_found);
    ec = co_await outcome_of(s.open(""));
    CHECK(ec == errc::invalid_parameter);
    ec = co_await outcome_of(s.open("log3"));
    CHECK(ec == errc::database_not_found);
    ec = co_await outcome_of(s.read(stranger, asio::buffer(buffer)));
    CHECK(ec == errc::invalid_parameter);
    ec = co_await outcome_of(s.close(stranger));
    CHECK(ec == errc::invalid_parameter);
    ec = co_await outcome_of(s.truncate_logs());
    CHECK(ec == errc::invalid_backup_sequence);
    ec = co_await outcome_of(s.state());
    CHECK(ec == errc::invalid_backup_sequence);

    const auto opened = co_await s.open("a");
    CHECK(opened.first.value == 0);   // 0 is a valid handle
    ec = co_await outcome_of(s.open("b"));
    CHECK(ec == errc::out_of_memory);
    ec = co_await outcome_of(s.prepare_logs());
    CHECK(ec == errc::invalid_backup_sequence);
    ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer.data(), page + 1)));
    CHECK(ec == errc::invalid_parameter);
    ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer.data(), 0)));
    CHECK(ec == errc::invalid_parameter);
    const std::size_t n = co_await s.read(opened.first, asio::buffer(buffer));
    CHECK(n == 3 * page);
    co_await s.close(opened.first);
    CHECK(d.events.has(number::copy_stopped));   // not read to its end
    ec = co_await outcome_of(s.read(opened.first, asio::buffer(buffer)));
    CHECK(ec == errc::invalid_parameter);

    const contrail::log_range logs = co_await s.prepare_logs();
    CHECK(logs.first == 3);
    ec = co_await outcome_of(s.truncate_logs());
    CHECK(ec == errc::logs_not_copied);
    CHECK(d.events.has(number::truncation_refused));
    const auto log = co_await s.open("log3");
    ec = co_await outcome_of(s.truncate_logs());
    CHECK(ec == errc::invalid_backup_sequence);
    co_await s.close(log.first);
    CHECK(d.world->pins == 1);
    ec = co_await outcome_of(s.open("a"));   // a database in state L: the whole session is cancelled
    CHECK(ec == errc::invalid_backup_sequence);
    CHECK(d.world->pins == 0);
    CHECK_FALSE(d.world->slot);
    CHECK(d.events.has(number::ended_with_error));
    ec = co_await outcome_of(s.databases());
    CHECK(ec == errc::no_backup);
    ec = co_await outcome_of(s.end(ending::abort));
    CHECK(ec == errc::no_backup);
  });
}

TEST_CASE("session: a log that is not there cancels", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    backup_session s = co_await d.begin();
    const contrail::log_range logs = co_await s.prepare_logs();
    CHECK(logs.end == 5);
    const std::error_code ec = co_await outcome_of(s.open("log1"));   // below the range
    CHECK(ec == errc::missing_file_to_backup);
    CHECK(d.events.has(number::log_missing));
    CHECK(d.world->pins == 0);
  });
}

TEST_CASE("session: strict mode", "[session]") {
  with_desk([](desk& d) -> asio::awaitable<void> {
    d.options.strict = true;
    backup_session s = co_await d.begin();
    const auto opened = co_await s.open("a");
    std::string buffer(6 * page, '\0');
    char* const aligned = buffer.data() + (page - reinterpret_cast<std::uintptr_t>(buffer.data()) % page) % page;
    std::error_code ec = co_await outcome_of(s.read(opened.first, asio::buffer(aligned, 2 * page)));   // the first: 3 pages
    CHECK(ec == errc::invalid_parameter);
    ec = co_await outcome_of(s.read(opened.first, asio::buffer(aligned + 8, 3 * page)));
    CHECK(ec == errc::invalid_parameter);
    const std::size_t n = co_await s.read(opened.first, asio::buffer(aligned, 3 * page));
    CHECK(n == 3 * page);
    const std::size_t later = co_await s.read(opened.first, asio::buffer(aligned, page));
    CHECK(later == page);
    co_await s.abort();
  });
}

TEST_CASE("session: order of the checks of begin", "[session]") {
  auto world = small_world();
  const auto begin_code = [&](kind what) {
    std::error_code out;
    with_desk(
        [&](desk& d) -> asio::awaitable<void> {
          d.options.what = what;
          const std::error_code ec = co_await outcome_of(d.begin());
          out = ec;
        },
        world);
    return out;
  };
  world->traits.circular = true;
  SECTION("status before kind") {
    world->status = make_error_code(errc::term_in_progress);
    CHECK(begin_code(kind::incremental) == errc::term_in_progress);
  }
  SECTION("but the kind before the log's space and sequence") {
    world->status = make_error_code(errc::log_disk_full);
    CHECK(begin_code(kind::incremental) == errc::invalid_backup);
    CHECK(begin_code(kind::full) == errc::log_disk_full);
    world->status = make_error_code(errc::log_sequence_end);
    CHECK(begin_code(kind::differential) == errc::invalid_backup);
  }
  SECTION("the kind and the status before the claim, the claim before the engine's begin") {
    world->begin_fails = errc::checkpoint_corrupt;
    asio::io_context context;
    desk d(context, world);
    world->slot = true;
    std::vector<std::error_code> got;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      d.options.what = kind::incremental;
      const std::error_code of_kind = co_await outcome_of(d.begin());
      d.options.what = kind::full;
      const std::error_code of_claim = co_await outcome_of(d.begin());
      world->slot = false;
      const std::error_code of_engine = co_await outcome_of(d.begin());
      got.push_back(of_kind);
      got.push_back(of_claim);
      got.push_back(of_engine);
    });
    REQUIRE(got.size() == 3);
    CHECK(got[0] == errc::invalid_backup);
    CHECK(got[1] == errc::backup_in_progress);
    CHECK(got[2] == errc::checkpoint_corrupt);
    CHECK(world->idle());
  }
}

TEST_CASE("session: engines that know no incremental say so", "[session]") {
  auto world = small_world();
  world->traits.incremental = false;
  with_desk(
      [](desk& d) -> asio::awaitable<void> {
        d.options.what = kind::incremental;
        try {
          backup_session s = co_await d.begin();
          FAIL("began");
        } catch (const contrail::error& e) {
          CHECK(e.code() == errc::invalid_backup);
          CHECK_THAT(e.what(), Catch::Contains("synthetic") && Catch::Contains("full backups only"));
        }
        CHECK(d.world->calls == 0);
      },
      world);
}
