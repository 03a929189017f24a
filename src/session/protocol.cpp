#include "session/protocol.hpp"

#include <array>
#include <cstddef>

namespace contrail::detail {
namespace {

using effect = session_effect;

constexpr errc ok{};
constexpr session_answer go{};
constexpr session_answer keep(errc code) { return {code, effect::keep}; }
constexpr session_answer cancel(errc code) { return {code, effect::cancel}; }

/// A row of the table where nothing stands in the way: no stop, no open file, valid arguments.
struct row {
  session_answer none, databases, logs_full, logs_incremental;
};

constexpr session_answer no_session = keep(errc::no_backup);
constexpr session_answer sequence = keep(errc::invalid_backup_sequence);

constexpr std::array<row, 19> rows{{
    /* begin            */ {{ok, effect::begin_databases}, keep(errc::backup_in_progress), keep(errc::backup_in_progress),
                            keep(errc::backup_in_progress)},
    /* databases        */ {no_session, go, go, sequence},
    /* open_database    */ {no_session, go, cancel(errc::invalid_backup_sequence), cancel(errc::invalid_backup_sequence)},
    /* open_log         */ {no_session, keep(errc::database_not_found), go, go},
    /* open_missing     */ {no_session, keep(errc::database_not_found), cancel(errc::missing_file_to_backup),
                            cancel(errc::missing_file_to_backup)},
    /* copy_logs        */ {no_session, sequence, go, go},
    /* read             */ {no_session, go, go, go},
    /* read_failed      */ {no_session, {ok, effect::drop_database}, {ok, effect::cancel}, {ok, effect::cancel}},
    /* close            */ {no_session, go, go, go},
    /* prepare_logs     */ {no_session, {ok, effect::to_logs}, {ok, effect::to_logs}, {ok, effect::to_logs}},
    /* prepare_failed   */ {no_session, {ok, effect::cancel}, {ok, effect::cancel}, {ok, effect::cancel}},
    /* truncatable_logs */ {no_session, {ok, effect::to_logs}, {ok, effect::to_logs}, {ok, effect::to_logs}},
    /* truncate_logs    */ {no_session, sequence, go, go},
    /* truncate_failed  */ {no_session, go, go, go},
    /* mark             */ {no_session, go, go, go},
    /* engine_state     */ {no_session, sequence, go, go},
    /* end_normal       */ {no_session, {errc::backup_abort_by_caller, effect::abort}, {ok, effect::commit}, {ok, effect::commit}},
    /* end_abort        */ {no_session, {ok, effect::abort}, {ok, effect::abort}, {ok, effect::abort}},
    /* stop             */ {go, go, go, go},
}};
static_assert(rows.size() == static_cast<std::size_t>(session_call::stop) + 1);

constexpr const session_answer& cell(session_state state, session_call call, bool incremental) {
  const row& r = rows[static_cast<std::size_t>(call)];
  switch (state) {
    case session_state::none: return r.none;
    case session_state::databases: return r.databases;
    default: return incremental ? r.logs_incremental : r.logs_full;
  }
}

}  // namespace

session_answer next(session_state state, session_call call, const session_facts& facts) noexcept {
  const session_answer& plain = cell(state, call, facts.incremental);
  if (call == session_call::begin) {
    return state == session_state::none && facts.incremental ? session_answer{ok, effect::begin_logs} : plain;
  }
  if (state == session_state::none) return plain;

  // Column S. Closing, ending and stopping work after a stop; so do failures that were already on their way.
  switch (call) {
    case session_call::stop:
    case session_call::end_abort:
    case session_call::read_failed:
    case session_call::prepare_failed:
    case session_call::truncate_failed: return plain;
    case session_call::close:
      if (!facts.handle_valid) return keep(errc::invalid_parameter);
      return facts.busy ? sequence : plain;
    case session_call::end_normal:
      if (facts.stopped) return {errc::backup_abort_by_server, effect::abort};
      // Decision D2: success means that every file of the kind was fetched.
      if (state == session_state::logs && !facts.logs_copied) return {errc::backup_abort_by_caller, effect::abort};
      return plain;
    default: break;
  }
  if (facts.stopped) return keep(errc::backup_abort_by_server);

  switch (call) {
    case session_call::open_database:
    case session_call::open_log:
    case session_call::open_missing:
    case session_call::copy_logs:
      if (!facts.arguments_valid) return keep(errc::invalid_parameter);
      if (facts.busy) return sequence;                           // decision D4
      if (facts.file_open) return keep(errc::out_of_memory);     // the handle table has one place
      if (state == session_state::logs && !facts.logs_prepared && call != session_call::open_database) return sequence;
      return plain;
    case session_call::read:
      if (!facts.handle_valid || !facts.arguments_valid) return keep(errc::invalid_parameter);
      return facts.busy ? sequence : plain;                      // decision D4
    case session_call::prepare_logs:
    case session_call::truncatable_logs: return facts.file_open || facts.busy ? sequence : plain;
    case session_call::truncate_logs:
      if (!facts.arguments_valid) return keep(errc::invalid_parameter);
      if (facts.file_open || facts.busy || !facts.logs_prepared) return sequence;
      return facts.logs_copied ? plain : keep(errc::logs_not_copied);
    case session_call::mark:
      // An incremental gets its mark when the generation is closed (ESE specification, section 4.6).
      return facts.incremental && !facts.logs_prepared ? sequence : plain;
    case session_call::engine_state: return facts.busy || !facts.logs_copied ? sequence : plain;
    default: return plain;
  }
}

}  // namespace contrail::detail
