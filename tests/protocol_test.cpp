#include "session/protocol.hpp"
#include "session/truncation.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using contrail::errc;
using contrail::kind;
using contrail::log_cut;
using contrail::log_range;
using namespace contrail::detail;
using call = session_call;
using effect = session_effect;
using state = session_state;

namespace {

constexpr errc ok{};

/// The columns of table 2.3: N, D, L-f, L-i, and S (any running state).
struct column {
  const char* name;
  state in;
  session_facts facts;
};

session_facts running(bool incremental, bool prepared) {
  session_facts f;
  f.incremental = incremental;
  f.logs_prepared = prepared;
  f.logs_copied = prepared;
  return f;
}

std::vector<column> columns() {
  return {{"N", state::none, {}}, {"D", state::databases, running(false, false)}, {"L-f", state::logs, running(false, true)},
          {"L-i", state::logs, running(true, true)}};
}

void expect(call c, const std::vector<session_answer>& wanted, const session_facts& also = {}) {
  const auto cols = columns();
  for (std::size_t i = 0; i < cols.size(); ++i) {
    session_facts f = cols[i].facts;
    f.busy = also.busy;
    f.file_open = also.file_open;
    f.handle_valid = also.handle_valid;
    f.arguments_valid = also.arguments_valid;
    const session_answer got = next(cols[i].in, c, f);
    INFO("call " << static_cast<int>(c) << " in " << cols[i].name);
    CHECK(static_cast<int>(got.code) == static_cast<int>(wanted[i].code));
    CHECK(static_cast<int>(got.effect) == static_cast<int>(wanted[i].effect));
  }
}

void expect_stopped(call c, const session_answer& wanted, const session_facts& also = {}) {
  for (const column& col : columns()) {
    if (col.in == state::none) continue;
    session_facts f = col.facts;
    f.stopped = true;
    f.busy = also.busy;
    f.file_open = also.file_open;
    f.handle_valid = also.handle_valid;
    f.arguments_valid = also.arguments_valid;
    const session_answer got = next(col.in, c, f);
    INFO("call " << static_cast<int>(c) << " stopped in " << col.name);
    CHECK(static_cast<int>(got.code) == static_cast<int>(wanted.code));
    CHECK(static_cast<int>(got.effect) == static_cast<int>(wanted.effect));
  }
}

session_answer keep(errc e) { return {e, effect::keep}; }
session_answer cancel(errc e) { return {e, effect::cancel}; }
const session_answer go{};
const session_answer none = keep(errc::no_backup);
const session_answer sequence = keep(errc::invalid_backup_sequence);
const session_answer by_server = keep(errc::backup_abort_by_server);

session_facts with_open() {
  session_facts f;
  f.file_open = true;
  return f;
}
session_facts with_busy() {
  session_facts f;
  f.file_open = f.busy = true;
  return f;
}
session_facts bad_handle() {
  session_facts f;
  f.handle_valid = false;
  return f;
}
session_facts bad_arguments() {
  session_facts f;
  f.arguments_valid = false;
  return f;
}

}  // namespace

TEST_CASE("protocol: begin", "[protocol]") {
  expect(call::begin, {{ok, effect::begin_databases}, keep(errc::backup_in_progress), keep(errc::backup_in_progress), keep(errc::backup_in_progress)});
  expect_stopped(call::begin, keep(errc::backup_in_progress));
  session_facts logs_only;
  logs_only.incremental = true;
  CHECK(next(state::none, call::begin, logs_only) == session_answer{ok, effect::begin_logs});
}

TEST_CASE("protocol: list of databases", "[protocol]") {
  expect(call::databases, {none, go, go, sequence});
  expect_stopped(call::databases, by_server);
}

TEST_CASE("protocol: open", "[protocol]") {
  expect(call::open_database, {none, go, cancel(errc::invalid_backup_sequence), cancel(errc::invalid_backup_sequence)});
  expect(call::open_log, {none, keep(errc::database_not_found), go, go});
  expect(call::open_missing, {none, keep(errc::database_not_found), cancel(errc::missing_file_to_backup), cancel(errc::missing_file_to_backup)});
  for (const call c : {call::open_database, call::open_log, call::open_missing}) {
    const session_answer full = keep(errc::out_of_memory);
    expect(c, {none, full, full, full}, with_open());
    expect(c, {none, sequence, sequence, sequence}, with_busy());
    const session_answer bad = keep(errc::invalid_parameter);
    expect(c, {none, bad, bad, bad}, bad_arguments());
    expect_stopped(c, by_server);
    expect_stopped(c, by_server, with_open());
  }
  // Logs of an incremental before they were prepared: there is no list yet.
  CHECK(next(state::logs, call::open_log, running(true, false)) == sequence);
  CHECK(next(state::logs, call::open_missing, running(true, false)) == sequence);
}

TEST_CASE("protocol: copy of the logs as a whole", "[protocol]") {
  expect(call::copy_logs, {none, sequence, go, go});
  expect(call::copy_logs, {none, keep(errc::out_of_memory), keep(errc::out_of_memory), keep(errc::out_of_memory)}, with_open());
  expect(call::copy_logs, {none, sequence, sequence, sequence}, with_busy());
  expect_stopped(call::copy_logs, by_server);
  CHECK(next(state::logs, call::copy_logs, running(true, false)) == sequence);
}

TEST_CASE("protocol: read", "[protocol]") {
  expect(call::read, {none, go, go, go});
  const session_answer bad = keep(errc::invalid_parameter);
  expect(call::read, {none, bad, bad, bad}, bad_arguments());
  expect(call::read, {none, bad, bad, bad}, bad_handle());
  expect(call::read, {none, sequence, sequence, sequence}, with_busy());
  expect_stopped(call::read, by_server);
  expect_stopped(call::read, by_server, bad_arguments());
  expect(call::read_failed, {none, {ok, effect::drop_database}, {ok, effect::cancel}, {ok, effect::cancel}});
}

TEST_CASE("protocol: close works after a stop", "[protocol]") {
  const session_answer bad = keep(errc::invalid_parameter);
  expect(call::close, {none, go, go, go});
  expect(call::close, {none, bad, bad, bad}, bad_handle());
  expect(call::close, {none, sequence, sequence, sequence}, with_busy());
  expect_stopped(call::close, go);
  expect_stopped(call::close, bad, bad_handle());
}

TEST_CASE("protocol: logs", "[protocol]") {
  const session_answer to_logs{ok, effect::to_logs};
  for (const call c : {call::prepare_logs, call::truncatable_logs}) {
    expect(c, {none, to_logs, to_logs, to_logs});
    expect(c, {none, sequence, sequence, sequence}, with_open());
    expect_stopped(c, by_server);
    expect_stopped(c, by_server, with_open());
  }
  // Decision D3: a failure while the logs are prepared cancels.
  expect(call::prepare_failed, {none, {ok, effect::cancel}, {ok, effect::cancel}, {ok, effect::cancel}});
}

TEST_CASE("protocol: truncation", "[protocol]") {
  expect(call::truncate_logs, {none, sequence, go, go});
  expect(call::truncate_logs, {none, sequence, sequence, sequence}, with_open());
  expect_stopped(call::truncate_logs, by_server);
  CHECK(next(state::logs, call::truncate_logs, running(true, false)) == sequence);   // before any log list
  for (const bool incremental : {false, true}) {
    session_facts f = running(incremental, true);
    f.logs_copied = false;
    CHECK(next(state::logs, call::truncate_logs, f) == keep(errc::logs_not_copied));
    f.file_open = true;
    CHECK(next(state::logs, call::truncate_logs, f) == sequence);   // the open file is asked for first
    session_facts kept = running(incremental, true);
    kept.arguments_valid = false;
    CHECK(next(state::logs, call::truncate_logs, kept) == keep(errc::invalid_parameter));
  }
  expect(call::truncate_failed, {none, go, go, go});
}

TEST_CASE("protocol: mark and state", "[protocol]") {
  expect(call::mark, {none, go, go, go});
  CHECK(next(state::logs, call::mark, running(true, false)) == sequence);
  expect_stopped(call::mark, by_server);
  expect(call::engine_state, {none, sequence, go, go});
  session_facts f = running(false, true);
  f.logs_copied = false;
  CHECK(next(state::logs, call::engine_state, f) == sequence);
  expect_stopped(call::engine_state, by_server);
}

TEST_CASE("protocol: end", "[protocol]") {
  // Decision D2: a lost backup must not look like success.
  expect(call::end_normal, {none, {errc::backup_abort_by_caller, effect::abort}, {ok, effect::commit}, {ok, effect::commit}});
  expect(call::end_abort, {none, {ok, effect::abort}, {ok, effect::abort}, {ok, effect::abort}});
  expect(call::end_normal, {none, {errc::backup_abort_by_caller, effect::abort}, {ok, effect::commit}, {ok, effect::commit}}, with_open());
  expect_stopped(call::end_normal, {errc::backup_abort_by_server, effect::abort});
  expect_stopped(call::end_abort, {ok, effect::abort});
  for (const bool incremental : {false, true}) {
    session_facts f = running(incremental, true);
    f.logs_copied = false;
    CHECK(next(state::logs, call::end_normal, f) == session_answer{errc::backup_abort_by_caller, effect::abort});
  }
}

TEST_CASE("protocol: stop is always possible", "[protocol]") {
  expect(call::stop, {go, go, go, go});
  expect_stopped(call::stop, go);
}

// --- what may be deleted (ESE specification, section 6.1)

namespace {

contrail::database_info database(const char* name, std::optional<contrail::generation> full, std::optional<contrail::generation> incremental = {}) {
  contrail::database_info d;
  d.name = name;
  if (full) {
    d.last_full.emplace();
    d.last_full->last = *full;
  }
  if (incremental) {
    d.last_incremental.emplace();
    d.last_incremental->last = *incremental;
  }
  return d;
}

log_cut cut(contrail::generation present, contrail::generation checkpoint, contrail::generation end) {
  log_cut c;
  c.first_present = present;
  c.checkpoint = checkpoint;
  c.copy.first = checkpoint;
  c.copy.end = end;
  return c;
}

log_range range(contrail::generation first, contrail::generation end) {
  log_range r;
  r.first = first;
  r.end = end;
  return r;
}

}  // namespace

TEST_CASE("truncation: a full backup of everything deletes up to the checkpoint", "[truncation]") {
  const auto plan = plan_logs(kind::full, false, cut(3, 7, 10), {database("a", {}), database("b", 5)}, {true, true});
  CHECK(plan.copy == range(7, 10));
  CHECK(plan.remove == range(3, 7));
  CHECK_FALSE(plan.missing);
}

TEST_CASE("truncation: never more than was put into the backup", "[truncation]") {
  CHECK(plan_logs(kind::full, false, cut(3, 12, 10), {database("a", {})}, {true}).remove == range(3, 10));
}

TEST_CASE("truncation: a database that was left out keeps its logs", "[truncation]") {
  CHECK(plan_logs(kind::full, false, cut(3, 9, 10), {database("a", {}), database("b", 5)}, {true, false}).remove == range(3, 5));
  CHECK(plan_logs(kind::full, false, cut(3, 9, 10), {database("a", {}), database("b", {})}, {true, false}).remove.empty());
  // Only a full of it counts.
  CHECK(plan_logs(kind::full, false, cut(3, 9, 10), {database("a", {}), database("b", {}, 8)}, {true, false}).remove.empty());
}

TEST_CASE("truncation: an incremental starts at what is on disk", "[truncation]") {
  const auto plan = plan_logs(kind::incremental, true, cut(3, 7, 10), {database("a", 2)}, {false});
  CHECK(plan.copy == range(3, 10));
  CHECK(plan.remove == range(3, 7));
  CHECK_FALSE(plan.missing);
}

TEST_CASE("truncation: a gap behind the last backup is found", "[truncation]") {
  const auto plan = plan_logs(kind::incremental, true, cut(5, 7, 10), {database("a", 9), database("b", 2, 3)}, {false, false});
  REQUIRE(plan.missing);
  CHECK(*plan.missing == 4);
  CHECK(plan.missing_for == "b");
  CHECK_FALSE(plan_logs(kind::differential, true, cut(5, 7, 10), {database("b", 2, 4)}, {false}).missing);
}

TEST_CASE("truncation: an incremental goes on where its parent ends, where the engine knows that", "[truncation]") {
  const std::vector<contrail::database_info> some{database("a", 4, 6), database("b", 4, 6)};
  log_cut c = cut(3, 8, 10);
  c.since = 7;
  const auto incremental = plan_logs(kind::incremental, true, c, some, {false, false});
  CHECK(incremental.copy == range(7, 10));
  CHECK(incremental.remove == range(3, 8));   // also those that are in sets before it
  CHECK_FALSE(incremental.missing);
  c.since = 5;
  CHECK(plan_logs(kind::differential, true, c, some, {false, false}).copy == range(5, 10));
  // An incremental one that came between has deleted what a differential one needs.
  c.first_present = 6;
  const auto gone = plan_logs(kind::differential, true, c, some, {false, false});
  REQUIRE(gone.missing);
  CHECK(*gone.missing == 5);
  CHECK(gone.missing_for == "a");
}

TEST_CASE("truncation: copies and differentials delete nothing", "[truncation]") {
  CHECK(plan_logs(kind::copy, false, cut(3, 7, 10), {database("a", {})}, {true}).remove.empty());
  CHECK(plan_logs(kind::differential, true, cut(3, 7, 10), {database("a", 2)}, {false}).remove.empty());
}

TEST_CASE("truncation: an incremental needs a full of every database", "[truncation]") {
  CHECK(without_full({database("a", 1), database("b", 2)}) == nullptr);
  const std::vector<contrail::database_info> two{database("a", 1), database("b", {}, 5)};
  REQUIRE(without_full(two) != nullptr);
  CHECK(without_full(two)->name == "b");
}

TEST_CASE("truncation: the account of generations is exact", "[truncation]") {
  generation_set s;
  CHECK(s.covers(range(4, 4)));
  CHECK_FALSE(s.covers(range(4, 5)));
  for (const contrail::generation g : {7U, 5U, 9U, 5U}) s.add(g);
  CHECK_FALSE(s.covers(range(5, 8)));   // 5 + 7 + 5 is as much as 5 + 6 + 6: sums prove nothing
  s.add(6);
  CHECK(s.covers(range(5, 8)));
  CHECK_FALSE(s.covers(range(5, 10)));
  s.add(8);
  CHECK(s.covers(range(5, 10)));
  CHECK_FALSE(s.covers(range(4, 10)));
  s.add(4);
  s.add(0);
  CHECK(s.covers(range(4, 10)));
  CHECK_FALSE(s.covers(range(0, 10)));
}
