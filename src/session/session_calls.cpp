#include "session/session_calls.hpp"

#include "transfer/transfer.hpp"

#include <contrail/manifest.hpp>

#include <algorithm>
#include <optional>

namespace contrail::detail {

void rethrow_for_caller(const call_guard& in, const std::exception_ptr& e, std::string_view operation) {
  const session_core& core = *in.core;
  if (is_cancelled(code_of(e))) {
    if (core.stopped()) core.throw_stopped(operation);
    if (core.closing && !in.ends_session) fail(errc::backup_abort_by_caller, std::string(operation), {}, {}, {}, "the session was aborted meanwhile");
  }
  rethrow_described(e, operation);
}

asio::awaitable<void> cancel_session(guard_ptr in, std::error_code why) {
  in->ends_session = true;
  session_core::ending how;
  how.event = event_number::ended_with_error;
  how.why = why;
  const std::error_code ignored = co_await session_core::shut_down(in->core, 1, how);
  static_cast<void>(ignored);
}

asio::awaitable<void> admit(guard_ptr in, session_call call, session_facts facts, std::string operation, std::string file) {
  session_core& core = *in->core;
  const session_answer answer = next(core.state, call, facts);
  if (answer.code == errc{}) co_return;
  if (answer.code == errc::backup_abort_by_server && core.stopped()) core.throw_stopped(operation);
  if (answer.effect == session_effect::cancel) {
    if (answer.code == errc::missing_file_to_backup) core.emit(event_number::log_missing, file, make_error_code(answer.code));
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);
    co_await cancel_session(in, make_error_code(answer.code));
  }
  fail(answer.code, std::move(operation), std::move(file));
}

asio::awaitable<void> load_databases(guard_ptr in) {
  session_core& core = *in->core;
  if (core.databases_known) co_return;
  std::vector<database_info> list = co_await core.pin->databases();
  core.databases = std::move(list);
  core.done.assign(core.databases.size(), session_core::database_state::untouched);
  core.databases_known = true;
}

namespace {

asio::awaitable<void> start(guard_ptr in, engine* from) {
  session_core& core = *in->core;
  const kind what = core.options.what;
  const bool chained = is_chained(what);
  const std::error_code status = from->status();
  const bool of_the_log = status == errc::log_disk_full || status == errc::log_sequence_end;
  if (status && !of_the_log) fail(status, "begin backup");
  if (chained && core.traits.circular) {
    fail(errc::invalid_backup, "begin backup", {}, {}, {}, "circular logging overwrites what an incremental backup needs");
  }
  if (chained && !core.traits.incremental && !core.traits.file_diff) {
    fail(errc::invalid_backup, "begin backup", {}, {}, {},
         "the engine " + core.traits.name + " knows full backups only, not " + std::string(to_string(what)));
  }
  if (status) fail(status, "begin backup");

  std::shared_ptr<void> slot = co_await from->claim();
  core.claim = std::move(slot);
  begin_request request;
  request.what = what;
  request.parent = core.parent;
  request.retain = what != kind::copy && (core.traits.incremental || core.traits.file_diff);
  request.reads = core.options.reads;
  if (request.reads.hold < core.traits.hold) request.reads.hold = core.traits.hold;
  request.counters = &core.counters.reads;
  const std::weak_ptr<session_core> weak = in->core;
  request.on_lost = [weak](std::error_code why) {
    if (const auto alive = weak.lock()) alive->lost(why);
  };
  core.note_begin();
  std::unique_ptr<contrail::pin> pin = co_await from->begin(std::move(request));
  core.pin = std::move(pin);

  if (core.by_logs && core.traits.records) {
    co_await load_databases(in);
    if (const database_info* lacking = without_full(core.databases)) {
      core.emit(event_number::missing_full_backup, lacking->name, make_error_code(errc::missing_full_backup));
      fail(errc::missing_full_backup, "begin backup", lacking->name, {}, "a full backup to build on");
    }
  }
}

}  // namespace

asio::awaitable<void> do_begin(guard_ptr in, engine* from) {
  session_core& core = *in->core;
  std::exception_ptr failure;
  try {
    co_await start(in, from);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure && core.stopped()) {
    try {
      core.throw_stopped("begin backup");
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) {
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);   // here: an await that is cancelled on entry does nothing
    in->ends_session = true;
    const session_core::ending quietly;
    const std::error_code ignored = co_await session_core::shut_down(in->core, 1, quietly);
    static_cast<void>(ignored);
    std::rethrow_exception(failure);
  }
  const session_answer answer = next(session_state::none, session_call::begin, core.facts());
  core.state = answer.effect == session_effect::begin_logs ? session_state::logs : session_state::databases;
  core.emit(core.by_logs ? event_number::incremental_started : event_number::full_started, "backup started");
  core.start_watch();
}

asio::awaitable<std::vector<database_info>> do_databases(guard_ptr in) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  co_await admit(in, session_call::databases, core.facts(), "list databases", std::string());
  co_await load_databases(in);
  co_return core.databases;
}

asio::awaitable<mark> do_mark(guard_ptr in) {
  session_core& core = *in->core;
  co_await admit(in, session_call::mark, core.facts(), "ask for the mark", std::string());
  co_return core.pin->at();
}

asio::awaitable<bool> do_failed(guard_ptr in, database_id id) {
  const session_core& core = *in->core;
  bool failed = false;
  for (std::size_t i = 0; i < core.databases.size(); ++i)
    if (core.databases[i].id == id) failed = core.done[i] == session_core::database_state::failed;
  co_return failed;
}

// --- logs

namespace {

asio::awaitable<void> close_generation(guard_ptr in) {
  session_core& core = *in->core;
  co_await load_databases(in);
  const log_cut cut = co_await core.pin->close_generation();
  std::vector<bool> complete;
  for (const auto s : core.done) complete.push_back(s == session_core::database_state::complete);
  // Without records in the databases nobody here knows where the last backup ended: the engine's begin checked the parent.
  const std::vector<database_info> none;
  core.logs = plan_logs(core.options.what, core.by_logs, cut, core.by_logs && !core.traits.records ? none : core.databases, complete);
  if (core.logs.missing) {
    core.emit(event_number::log_missing, core.logs.missing_for, make_error_code(errc::missing_file_to_backup));
    fail(errc::missing_file_to_backup, "prepare logs", core.logs.missing_for, {}, "logs from generation " + std::to_string(*core.logs.missing),
         "logs from generation " + std::to_string(cut.first_present));
  }
}

asio::awaitable<void> prepare(guard_ptr in, session_call call, std::string operation) {
  session_core& core = *in->core;
  co_await admit(in, call, core.facts(), operation, std::string());
  core.check_limits();
  if (core.logs_prepared) co_return;
  std::exception_ptr failure;
  try {
    co_await close_generation(in);
    core.check_limits();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    // Decision D3. Also when it was cancelled: a generation cannot be closed twice.
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);
    co_await cancel_session(in, code_of(failure));
    std::rethrow_exception(failure);
  }
  core.logs_prepared = true;
  core.state = session_state::logs;
  const std::string range = std::to_string(core.logs.copy.first) + " to " + std::to_string(core.logs.copy.end);
  core.emit(event_number::log_range_known, range);
}

}  // namespace

asio::awaitable<log_range> do_prepare_logs(guard_ptr in) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  co_await prepare(in, session_call::prepare_logs, "prepare logs");
  co_return core.logs.copy;
}

asio::awaitable<log_range> do_truncatable_logs(guard_ptr in) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  co_await prepare(in, session_call::truncatable_logs, "list truncatable logs");
  co_return core.logs.remove;
}

asio::awaitable<log_range> do_truncate_logs(guard_ptr in) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  session_facts facts = core.facts();
  facts.arguments_valid = core.traits.truncate && (core.options.what == kind::full || core.options.what == kind::incremental);
  const session_answer answer = next(core.state, session_call::truncate_logs, facts);
  if (answer.code == errc::logs_not_copied) core.emit(event_number::truncation_refused, "not all logs were copied", make_error_code(answer.code));
  co_await admit(in, session_call::truncate_logs, facts, "truncate logs", std::string());
  core.check_limits();
  core.truncated = true;   // before deleting: a failure in the middle does not change the kind (ESE specification, section 6.2)
  if (core.logs.remove.empty()) {
    core.emit(event_number::no_logs_deleted, "no logs to delete");
    co_return core.logs.remove;
  }
  const log_range range = core.logs.remove;
  co_await core.pin->delete_logs(range);
  const std::string text = std::to_string(range.first) + " to " + std::to_string(range.end);
  core.emit(event_number::logs_deleted, text);
  co_return range;
}

asio::awaitable<std::string> do_state(guard_ptr in) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  co_await admit(in, session_call::engine_state, core.facts(), "ask for the engine's state", std::string());
  core.check_limits();
  std::string bytes = co_await core.pin->state();
  core.check_limits();   // the last word before a commit: also a stop that came meanwhile
  co_return bytes;
}

// --- the end

asio::awaitable<std::error_code> do_end(guard_ptr in, backup_session::ending how) {
  session_core& core = *in->core;
  if (how > backup_session::ending::abort) fail(errc::invalid_parameter, "end backup");
  const bool normal = how != backup_session::ending::abort;
  if (normal && core.limits_reached()) core.emit(event_number::ended_by_server, "a limit of the pin was reached");
  const session_answer answer = next(core.state, normal ? session_call::end_normal : session_call::end_abort, core.facts());
  if (answer.effect == session_effect::keep) fail(answer.code, "end backup");
  if (how == backup_session::ending::normal_truncated) core.truncated = true;
  session_core::ending ending;
  ending.commit = answer.effect == session_effect::commit;
  ending.why = make_error_code(answer.code);
  const bool by_server = answer.code == errc::backup_abort_by_server;
  ending.event = ending.commit ? event_number::ended : by_server ? event_number::ended_by_server : event_number::ended_by_caller;
  const std::error_code recorded = co_await session_core::shut_down(in->core, 0, ending);
  if (by_server && core.stopped()) core.throw_stopped("end backup");
  if (answer.code != errc{}) fail(answer.code, "end backup", {}, {}, "everything read", "an end before that: nothing counts");
  co_return recorded;
}

asio::awaitable<void> do_abort(guard_ptr in) {
  session_core::ending ending;
  const bool by_server = in->core->stopped();
  ending.event = by_server ? event_number::ended_by_server : event_number::ended_by_caller;
  ending.why = make_error_code(by_server ? errc::backup_abort_by_server : errc::backup_abort_by_caller);
  const std::error_code ignored = co_await session_core::shut_down(in->core, 0, ending);
  static_cast<void>(ignored);
}

}  // namespace contrail::detail
