#pragma once

#include <contrail/error.hpp>

#include <cstdint>

namespace contrail::detail {

/// States of a backup session (ESE specification, section 2.1). "Stopped" is a fact beside the state, not a state.
enum class session_state : std::uint8_t { none, databases, logs };

/// What may be asked of a session. Names that end in `_failed` are not calls: they tell what an engine's failure during that call does.
enum class session_call : std::uint8_t {
  begin,
  databases,          ///< JetGetAttachInfo
  open_database,      ///< JetOpenFile, or copy(): the name is an attached database
  open_log,           ///< JetOpenFile, or copy_logs(): a log of the list
  open_missing,       ///< JetOpenFile: neither
  copy_logs,          ///< copy_logs() as a whole
  read,
  read_failed,        ///< data error after all retries
  close,
  prepare_logs,       ///< JetGetLogInfo
  prepare_failed,
  truncatable_logs,   ///< JetGetTruncateLogInfo
  truncate_logs,      ///< JetTruncateLog
  truncate_failed,
  mark,
  engine_state,
  end_normal,
  end_abort,
  stop,               ///< JetStopBackup
};

/// What the answer depends on beside the state.
struct session_facts {
  bool incremental = false;       ///< logs only: the session began in `logs`
  bool stopped = false;           ///< JetStopBackup, a lost pin, or a limit
  bool busy = false;              ///< a read or a copy runs on the open file
  bool file_open = false;
  bool handle_valid = true;       ///< close, read
  bool arguments_valid = true;
  bool logs_prepared = false;
  bool logs_copied = false;       ///< every log of the range was read to its end
};

/// keep: nothing changes beyond the call itself. cancel: the whole session is cleaned up, with that error.
enum class session_effect : std::uint8_t { keep, begin_databases, begin_logs, to_logs, drop_database, cancel, commit, abort };

struct session_answer {
  errc code{};                    ///< 0: go on
  session_effect effect = session_effect::keep;
  friend constexpr bool operator==(const session_answer&, const session_answer&) = default;
};

/// Table 2.3 of the ESE specification with the decisions of docs/protocol.md. No I/O, no memory of its own.
session_answer next(session_state state, session_call call, const session_facts& facts) noexcept;

}  // namespace contrail::detail
