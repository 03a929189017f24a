#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace contrail {

/// Every failure that Contrail itself reports. Where the ESE documentation has a number for a condition the value is that
/// number (so the C facade and the C++ API cannot disagree); conditions that ESE does not know start at -20001.
/// The category is named "contrail". System failures keep their own category (`std::system_category`).
enum class errc : std::int32_t {
  // logs and recovery (ESE specification, sections 3 and 7)
  log_file_corrupt = -501,                  ///< JET_errLogFileCorrupt
  backup_in_progress = -505,                ///< JET_errBackupInProgress: one session a database, across handles and processes
  restore_in_progress = -506,               ///< JET_errRestoreInProgress
  log_write_fail = -510,                    ///< JET_errLogWriteFail
  invalid_log_sequence = -515,              ///< JET_errInvalidLogSequence
  logging_disabled = -516,                  ///< JET_errLoggingDisabled: the engine writes no log that a backup could use
  log_sequence_end = -519,                  ///< JET_errLogSequenceEnd
  no_backup = -520,                         ///< JET_errNoBackup: no session is running
  invalid_backup_sequence = -521,           ///< JET_errInvalidBackupSequence: call out of order, or a second read on one file
  backup_not_allowed_yet = -523,            ///< JET_errBackupNotAllowedYet: recovering, or going down
  invalid_backup = -526,                    ///< JET_errInvalidBackup: this kind cannot be had from this engine
  missing_log_file = -528,                  ///< JET_errMissingLogFile
  log_disk_full = -529,                     ///< JET_errLogDiskFull
  bad_checkpoint_signature = -532,          ///< JET_errBadCheckpointSignature
  checkpoint_corrupt = -533,                ///< JET_errCheckpointCorrupt
  bad_patch_page = -535,                    ///< JET_errBadPatchPage: the trailer of a copied database is damaged
  redo_abrupt_ended = -536,                 ///< JET_errRedoAbruptEnded
  patch_file_missing = -538,                ///< JET_errPatchFileMissing
  checkpoint_file_not_found = -542,         ///< JET_errCheckpointFileNotFound
  required_log_files_missing = -543,        ///< JET_errRequiredLogFilesMissing
  soft_recovery_on_backup_database = -544,  ///< JET_errSoftRecoveryOnBackupDatabase: a copy that was never replayed
  database_dirty_shutdown = -550,           ///< JET_errDatabaseDirtyShutdown: it needs the logs that it was last used with
  database_patch_file_mismatch = -552,      ///< JET_errDatabasePatchFileMismatch
  ending_restore_log_too_low = -553,        ///< JET_errEndingRestoreLogTooLow
  starting_restore_log_too_high = -554,     ///< JET_errStartingRestoreLogTooHigh
  given_log_file_has_bad_signature = -555,  ///< JET_errGivenLogFileHasBadSignature
  given_log_file_is_not_contiguous = -556,  ///< JET_errGivenLogFileIsNotContiguous
  missing_restore_log_files = -557,         ///< JET_errMissingRestoreLogFiles
  missing_full_backup = -560,               ///< JET_errMissingFullBackup
  missing_current_log_files = -565,         ///< JET_errMissingCurrentLogFiles
  dbtime_too_old = -566,                    ///< JET_errDbTimeTooOld: a page lacks a change before the one to be redone
  dbtime_too_new = -567,                    ///< JET_errDbTimeTooNew: a page has a change that the logs do not know
  missing_file_to_backup = -569,            ///< JET_errMissingFileToBackup
  log_corrupt_during_hard_restore = -573,   ///< JET_errLogCorruptDuringHardRestore
  log_corrupt_during_hard_recovery = -574,  ///< JET_errLogCorruptDuringHardRecovery
  bad_restore_target_instance = -577,       ///< JET_errBadRestoreTargetInstance
  committed_log_files_missing = -582,       ///< JET_errCommittedLogFilesMissing
  log_sequence_checksum_mismatch = -590,    ///< JET_errLogSequenceChecksumMismatch: a log follows another one of the same number and time
  existing_log_file_has_bad_signature = -610,   ///< JET_errExistingLogFileHasBadSignature
  existing_log_file_is_not_contiguous = -611,   ///< JET_errExistingLogFileIsNotContiguous
  log_read_verify_failure = -612,           ///< JET_errLogReadVerifyFailure
  restore_of_non_backup_database = -615,    ///< JET_errRestoreOfNonBackupDatabase
  logs_not_copied = -616,                   ///< JET_errLogFileNotCopied
  surrogate_backup_in_progress = -617,      ///< JET_errSurrogateBackupInProgress
  backup_abort_by_caller = -800,            ///< errBackupAbortByCaller: "end normal" before everything was read (decision D2)
  backup_abort_by_server = -801,            ///< JET_errBackupAbortByServer: stop was called, or the engine lost the pin

  // calls and resources
  invalid_grbit = -900,                     ///< JET_errInvalidGrbit
  term_in_progress = -1000,                 ///< JET_errTermInProgress
  invalid_parameter = -1003,                ///< JET_errInvalidParameter
  out_of_memory = -1011,                    ///< JET_errOutOfMemory; also: a second open file on one session
  read_verify_failure = -1018,              ///< JET_errReadVerifyFailure: page checksum bad after all retries
  page_not_initialized = -1019,             ///< JET_errPageNotInitialized: a page that is not allocated
  disk_read_verification_failure = -1021,   ///< JET_errDiskReadVerificationFailure
  disk_io = -1022,                          ///< JET_errDiskIO
  invalid_path = -1023,                     ///< JET_errInvalidPath
  not_initialized = -1029,                  ///< JET_errNotInitialized
  already_initialized = -1030,              ///< JET_errAlreadyInitialized
  file_access_denied = -1032,               ///< JET_errFileAccessDenied
  buffer_too_small = -1038,                 ///< JET_errBufferTooSmall
  version_store_out_of_memory = -1069,      ///< JET_errVersionStoreOutOfMemory: transaction beyond its bound
  running_in_one_instance_mode = -1080,     ///< JET_errRunningInOneInstanceMode
  running_in_multi_instance_mode = -1081,   ///< JET_errRunningInMultiInstanceMode
  instance_unavailable = -1090,             ///< JET_errInstanceUnavailable
  instance_unavailable_log_disk_full = -1092,   ///< JET_errInstanceUnavailableDueToFatalLogDiskFull
  write_conflict = -1102,                   ///< JET_errWriteConflict
  page_number_mismatch = -1118,             ///< JET_errReadPgnoVerifyFailure: a good page at the wrong place
  lost_flush = -1119,                       ///< JET_errReadLostFlushVerifyFailure
  database_in_use = -1202,                  ///< JET_errDatabaseInUse
  database_not_found = -1203,               ///< JET_errDatabaseNotFound
  database_corrupted = -1206,               ///< JET_errDatabaseCorrupted: not a database, or its header cannot be read
  database_locked = -1207,                  ///< JET_errDatabaseLocked: somebody holds it exclusively
  page_size_mismatch = -1213,               ///< JET_errPageSizeMismatch
  attached_database_mismatch = -1216,       ///< JET_errAttachedDatabaseMismatch: attached in the log, and not there, or another one
  database_attached_for_recovery = -1231,   ///< JET_errDatabaseAttachedForRecovery
  client_request_to_stop_service = -1329,   ///< JET_errClientRequestToStopJetService
  disk_full = -1808,                        ///< JET_errDiskFull
  file_not_found = -1811,                   ///< JET_errFileNotFound
  file_invalid_type = -1812,                ///< JET_errFileInvalidType
  after_initialization = -1850,             ///< JET_errAfterInitialization

  // Contrail's own: between the layers
  file_vanished = -20001,                   ///< engine: the file went away, and that is allowed
  source_restarted = -20002,                ///< engine: what was delivered of this file is void, open it again
  sink_rewound = -20003,                    ///< sink: go on from `set_writer::position()`
  // Contrail's own: sets and repositories
  set_damaged = -20010,                     ///< bytes of a set are not the bytes that were stored
  set_incomplete = -20011,                  ///< something that the set names is missing
  set_exists = -20012,                      ///< a set, or a file to be restored, is already there
  format_unknown = -20013,                  ///< newer schema, or a feature that this reader does not know
  set_not_found = -20014,                   ///< nothing to list, verify or restore under that name
  not_a_repository = -20015,                ///< the place exists and cannot be a repository
  unsafe_path = -20016,                     ///< a name in a set that would lead out of its directory
  foreign_file = -20017,                    ///< something stands among the files of a set that is no part of it
  feature_not_built = -20020,               ///< known, but left out of this build; the message names the build option
  unknown_scheme = -20021,                  ///< a URI whose engine nobody knows
  pin_too_old = -20030,                     ///< the session's pin reached its maximum age (decision D15)
  pin_too_large = -20031,                   ///< the session's pin holds back more log than allowed (decision D15)
  source_replaced = -20032,                 ///< the database file was removed or replaced while it was copied
};

/// The category of `errc`, named "contrail". Messages are one line, without a full stop.
const std::error_category& category() noexcept;
std::error_code make_error_code(errc e) noexcept;

/// Nearest JET number: an `errc` gives its own value; Contrail's own numbers (-20001 and below) and system errors give the JET
/// code whose documented meaning is closest. 0 only for success.
std::int32_t to_jet(std::error_code ec) noexcept;
/// The other way round. 0 is success; a number without a name keeps its value in `category()`.
std::error_code from_jet(std::int32_t number) noexcept;
/// The short name in the text of errors and in `--json`: "backup_in_progress" for an errc, "ENOSPC"-like or "" for others.
std::string_view name_of(std::error_code ec) noexcept;

/// What an operator needs beside the code. Empty or absent: does not apply.
struct error_details {
  error_details() = default;
  std::string operation;                ///< what was being done: "read page", "commit set"
  std::string file;                     ///< path or name within a set
  std::optional<std::uint64_t> offset;  ///< byte offset in that file
  std::string expected;                 ///< what should have been there
  std::string found;                    ///< what was there instead, or advice
};

/// The only exception type that Contrail's operations throw, apart from std::bad_alloc. `what()` is made of the details.
class error : public std::system_error {
 public:
  error(std::error_code ec, error_details details);
  const error_details& details() const noexcept { return details_; }

 private:
  error_details details_;
};

/// Builds the details and throws `error`. An ordinary function, so that coroutines need no aggregate temporaries (GCC 12).
[[noreturn]] void fail(std::error_code ec, std::string operation, std::string file = {}, std::optional<std::uint64_t> offset = {},
                       std::string expected = {}, std::string found = {});
[[noreturn]] inline void fail(errc e, std::string operation, std::string file = {}, std::optional<std::uint64_t> offset = {},
                              std::string expected = {}, std::string found = {}) {
  fail(make_error_code(e), std::move(operation), std::move(file), offset, std::move(expected), std::move(found));
}

}  // namespace contrail

template <>
struct std::is_error_code_enum<contrail::errc> : std::true_type {};
