#pragma once

#include <sqlite3.h>

namespace contrail {

/// SQLite as one part of a program sees it: the functions that a backup calls. A backup from within a process must go through the very
/// copy of SQLite that has the database open: two copies do not know each other's POSIX locks, and each takes the other's away.
/// Trivially destructible.
struct sqlite_functions {
  decltype(&sqlite3_busy_handler) busy_handler;
  decltype(&sqlite3_close_v2) close_v2;
  decltype(&sqlite3_column_int64) column_int64;
  decltype(&sqlite3_db_filename) db_filename;
  decltype(&sqlite3_errmsg) errmsg;
  decltype(&sqlite3_errstr) errstr;
  decltype(&sqlite3_exec) exec;
  decltype(&sqlite3_extended_result_codes) extended_result_codes;
  decltype(&sqlite3_file_control) file_control;
  decltype(&sqlite3_filename_wal) filename_wal;
  decltype(&sqlite3_finalize) finalize;
  decltype(&sqlite3_libversion) libversion;
  decltype(&sqlite3_mutex_alloc) mutex_alloc;
  decltype(&sqlite3_mutex_free) mutex_free;
  decltype(&sqlite3_open_v2) open_v2;
  decltype(&sqlite3_prepare_v2) prepare_v2;
  decltype(&sqlite3_step) step;
  decltype(&sqlite3_system_errno) system_errno;
  decltype(&sqlite3_threadsafe) threadsafe;
  decltype(&sqlite3_txn_state) txn_state;
  decltype(&sqlite3_wal_autocheckpoint) wal_autocheckpoint;
  int (*keep_log_on_close)(sqlite3*);   ///< sqlite3_db_config, which takes any number of arguments
};

/// The SQLite that the including file is linked with; the application calls this in the file that opens its database. Each file has a
/// function of its own (static): two parts of one program may have two copies of SQLite.
[[maybe_unused]] static inline sqlite_functions sqlite_of_this_program() noexcept {
  sqlite_functions out{};
  out.busy_handler = &sqlite3_busy_handler;
  out.close_v2 = &sqlite3_close_v2;
  out.column_int64 = &sqlite3_column_int64;
  out.db_filename = &sqlite3_db_filename;
  out.errmsg = &sqlite3_errmsg;
  out.errstr = &sqlite3_errstr;
  out.exec = &sqlite3_exec;
  out.extended_result_codes = &sqlite3_extended_result_codes;
  out.file_control = &sqlite3_file_control;
  out.filename_wal = &sqlite3_filename_wal;
  out.finalize = &sqlite3_finalize;
  out.libversion = &sqlite3_libversion;
  out.mutex_alloc = &sqlite3_mutex_alloc;
  out.mutex_free = &sqlite3_mutex_free;
  out.open_v2 = &sqlite3_open_v2;
  out.prepare_v2 = &sqlite3_prepare_v2;
  out.step = &sqlite3_step;
  out.system_errno = &sqlite3_system_errno;
  out.threadsafe = &sqlite3_threadsafe;
  out.txn_state = &sqlite3_txn_state;
  out.wal_autocheckpoint = &sqlite3_wal_autocheckpoint;
  out.keep_log_on_close = [](sqlite3* db) { return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); };
  return out;
}

}  // namespace contrail
