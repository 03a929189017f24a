#include <contrail/error.hpp>

#include <asio/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace contrail {
namespace {

struct entry {
  errc code;
  std::string_view name;
  std::string_view message;
};

// Ordered by number, highest first, so that it can be searched.
constexpr std::array entries{
    entry{errc::log_file_corrupt, "log_file_corrupt", "log file is corrupt"},
    entry{errc::backup_in_progress, "backup_in_progress", "a backup of this database is already in progress"},
    entry{errc::restore_in_progress, "restore_in_progress", "a restore is in progress"},
    entry{errc::log_write_fail, "log_write_fail", "the engine cannot write its log"},
    entry{errc::invalid_log_sequence, "invalid_log_sequence", "log files do not follow one another"},
    entry{errc::logging_disabled, "logging_disabled", "the engine writes no log that a backup could use"},
    entry{errc::log_sequence_end, "log_sequence_end", "log generation numbers are used up"},
    entry{errc::no_backup, "no_backup", "no backup session is running"},
    entry{errc::invalid_backup_sequence, "invalid_backup_sequence", "call out of order in a backup session"},
    entry{errc::backup_not_allowed_yet, "backup_not_allowed_yet", "the engine is recovering or going down"},
    entry{errc::invalid_backup, "invalid_backup", "this kind of backup cannot be had from this engine"},
    entry{errc::missing_log_file, "missing_log_file", "a log file is missing"},
    entry{errc::log_disk_full, "log_disk_full", "the log's disk is full"},
    entry{errc::bad_checkpoint_signature, "bad_checkpoint_signature", "the checkpoint belongs to other logs"},
    entry{errc::checkpoint_corrupt, "checkpoint_corrupt", "the checkpoint is corrupt"},
    entry{errc::bad_patch_page, "bad_patch_page", "the trailer of a copied database is damaged"},
    entry{errc::redo_abrupt_ended, "redo_abrupt_ended", "redo ended before its time"},
    entry{errc::patch_file_missing, "patch_file_missing", "patch file is missing"},
    entry{errc::checkpoint_file_not_found, "checkpoint_file_not_found", "checkpoint file not found"},
    entry{errc::required_log_files_missing, "required_log_files_missing", "log files that recovery needs are missing"},
    entry{errc::soft_recovery_on_backup_database, "soft_recovery_on_backup_database", "the file is a copy that was never replayed"},
    entry{errc::database_dirty_shutdown, "database_dirty_shutdown", "the database was not shut down and needs recovery"},
    entry{errc::database_patch_file_mismatch, "database_patch_file_mismatch", "database and patch do not belong together"},
    entry{errc::ending_restore_log_too_low, "ending_restore_log_too_low", "the logs end too early for this database"},
    entry{errc::starting_restore_log_too_high, "starting_restore_log_too_high", "the logs start too late for this database"},
    entry{errc::given_log_file_has_bad_signature, "given_log_file_has_bad_signature", "a log file belongs to another log stream"},
    entry{errc::given_log_file_is_not_contiguous, "given_log_file_is_not_contiguous", "log files have a gap"},
    entry{errc::missing_restore_log_files, "missing_restore_log_files", "log files for the restore are missing"},
    entry{errc::missing_full_backup, "missing_full_backup", "a database has no full backup to build on"},
    entry{errc::missing_current_log_files, "missing_current_log_files", "current log files are missing"},
    entry{errc::dbtime_too_old, "dbtime_too_old", "a page lacks an earlier change"},
    entry{errc::dbtime_too_new, "dbtime_too_new", "a page is newer than the log"},
    entry{errc::missing_file_to_backup, "missing_file_to_backup", "a file that the backup needs is missing"},
    entry{errc::log_corrupt_during_hard_restore, "log_corrupt_during_hard_restore", "a log is corrupt (found by restore)"},
    entry{errc::log_corrupt_during_hard_recovery, "log_corrupt_during_hard_recovery", "a log is corrupt (found by recovery)"},
    entry{errc::bad_restore_target_instance, "bad_restore_target_instance", "the instance cannot be the target of a restore"},
    entry{errc::committed_log_files_missing, "committed_log_files_missing", "log files with committed work are missing"},
    entry{errc::log_sequence_checksum_mismatch, "log_sequence_checksum_mismatch", "a log does not continue the one before it"},
    entry{errc::existing_log_file_has_bad_signature, "existing_log_file_has_bad_signature", "a log in place belongs to another stream"},
    entry{errc::existing_log_file_is_not_contiguous, "existing_log_file_is_not_contiguous", "logs in place have a gap"},
    entry{errc::log_read_verify_failure, "log_read_verify_failure", "log checksum does not match"},
    entry{errc::restore_of_non_backup_database, "restore_of_non_backup_database", "the file is not a copy made by a backup"},
    entry{errc::logs_not_copied, "logs_not_copied", "not all logs of the backup were copied"},
    entry{errc::surrogate_backup_in_progress, "surrogate_backup_in_progress", "a surrogate backup is in progress"},
    entry{errc::backup_abort_by_caller, "backup_abort_by_caller", "the backup was ended before everything was read"},
    entry{errc::backup_abort_by_server, "backup_abort_by_server", "the backup was stopped"},
    entry{errc::invalid_grbit, "invalid_grbit", "invalid option bits"},
    entry{errc::term_in_progress, "term_in_progress", "the engine is shutting down"},
    entry{errc::invalid_parameter, "invalid_parameter", "invalid parameter"},
    entry{errc::out_of_memory, "out_of_memory", "out of memory or handles"},
    entry{errc::read_verify_failure, "read_verify_failure", "page checksum does not match"},
    entry{errc::page_not_initialized, "page_not_initialized", "the page is not allocated"},
    entry{errc::disk_read_verification_failure, "disk_read_verification_failure", "the disk found a damaged block"},
    entry{errc::disk_io, "disk_io", "disk I/O error"},
    entry{errc::invalid_path, "invalid_path", "invalid path"},
    entry{errc::not_initialized, "not_initialized", "the engine is not initialized"},
    entry{errc::already_initialized, "already_initialized", "already initialized"},
    entry{errc::file_access_denied, "file_access_denied", "access to a file was denied"},
    entry{errc::buffer_too_small, "buffer_too_small", "buffer is too small"},
    entry{errc::version_store_out_of_memory, "version_store_out_of_memory", "transaction is beyond its bound"},
    entry{errc::running_in_one_instance_mode, "running_in_one_instance_mode", "running in one-instance mode"},
    entry{errc::running_in_multi_instance_mode, "running_in_multi_instance_mode", "running in multi-instance mode"},
    entry{errc::instance_unavailable, "instance_unavailable", "the instance failed and is unavailable"},
    entry{errc::instance_unavailable_log_disk_full, "instance_unavailable_log_disk_full", "the instance failed: log disk full"},
    entry{errc::write_conflict, "write_conflict", "write conflict"},
    entry{errc::page_number_mismatch, "page_number_mismatch", "a page stands at the wrong place"},
    entry{errc::lost_flush, "lost_flush", "a page write was lost"},
    entry{errc::database_in_use, "database_in_use", "the database is in use"},
    entry{errc::database_not_found, "database_not_found", "database not found"},
    entry{errc::database_corrupted, "database_corrupted", "not a database, or a damaged one"},
    entry{errc::database_locked, "database_locked", "the database is locked exclusively"},
    entry{errc::page_size_mismatch, "page_size_mismatch", "page sizes differ"},
    entry{errc::attached_database_mismatch, "attached_database_mismatch", "an attached database is missing, or another one stands there"},
    entry{errc::database_attached_for_recovery, "database_attached_for_recovery", "the database is attached for recovery only"},
    entry{errc::client_request_to_stop_service, "client_request_to_stop_service", "the service was asked to stop"},
    entry{errc::disk_full, "disk_full", "disk is full"},
    entry{errc::file_not_found, "file_not_found", "file not found"},
    entry{errc::file_invalid_type, "file_invalid_type", "file is of the wrong type"},
    entry{errc::after_initialization, "after_initialization", "not possible after initialization"},
    entry{errc::file_vanished, "file_vanished", "the file went away while it was copied"},
    entry{errc::source_restarted, "source_restarted", "the file started anew while it was copied"},
    entry{errc::sink_rewound, "sink_rewound", "the sink went back to an earlier position"},
    entry{errc::set_damaged, "set_damaged", "the backup set is damaged"},
    entry{errc::set_incomplete, "set_incomplete", "the backup set is incomplete"},
    entry{errc::set_exists, "set_exists", "already there"},
    entry{errc::format_unknown, "format_unknown", "format is newer than this program, or unknown"},
    entry{errc::set_not_found, "set_not_found", "no such backup set"},
    entry{errc::not_a_repository, "not_a_repository", "not a repository"},
    entry{errc::unsafe_path, "unsafe_path", "a name in the set would lead out of its directory"},
    entry{errc::foreign_file, "foreign_file", "something stands in the set that is no part of it"},
    entry{errc::feature_not_built, "feature_not_built", "left out of this build"},
    entry{errc::unknown_scheme, "unknown_scheme", "unknown scheme"},
    entry{errc::pin_too_old, "pin_too_old", "the backup held its snapshot for too long"},
    entry{errc::pin_too_large, "pin_too_large", "the backup held back too much log"},
    entry{errc::source_replaced, "source_replaced", "the database was removed or replaced while it was copied"},
};
static_assert(std::is_sorted(entries.begin(), entries.end(),
                             [](const entry& a, const entry& b) { return static_cast<int>(a.code) > static_cast<int>(b.code); }));

const entry* find(int value) noexcept {
  const auto at = std::lower_bound(entries.begin(), entries.end(), value,
                                   [](const entry& e, int v) { return static_cast<int>(e.code) > v; });
  return at != entries.end() && static_cast<int>(at->code) == value ? &*at : nullptr;
}

class contrail_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "contrail"; }
  std::string message(int value) const override {
    if (const entry* e = find(value)) return std::string(e->message);
    return value == 0 ? "success" : "JET error " + std::to_string(value);
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::out_of_memory: return std::errc::not_enough_memory;
      case errc::disk_full: return std::errc::no_space_on_device;
      case errc::file_not_found: return std::errc::no_such_file_or_directory;
      case errc::file_access_denied: return std::errc::permission_denied;
      case errc::invalid_parameter: return std::errc::invalid_argument;
      default: return std::error_condition(value, *this);
    }
  }
};

errc nearest(errc own) noexcept {
  switch (own) {
    case errc::file_vanished:
    case errc::set_incomplete:
    case errc::set_not_found: return errc::file_not_found;
    case errc::source_restarted:
    case errc::sink_rewound: return errc::invalid_backup_sequence;
    case errc::set_damaged:
    case errc::foreign_file: return errc::disk_read_verification_failure;
    case errc::set_exists: return errc::file_access_denied;
    case errc::format_unknown:
    case errc::not_a_repository: return errc::file_invalid_type;
    case errc::unsafe_path: return errc::invalid_path;
    case errc::feature_not_built:
    case errc::unknown_scheme: return errc::invalid_parameter;
    case errc::pin_too_old:
    case errc::pin_too_large: return errc::backup_abort_by_server;  // decision D15
    case errc::source_replaced: return errc::missing_file_to_backup;
    default: return errc::disk_io;
  }
}

struct system_name {
  int value;
  std::string_view name;
  errc jet;
};
constexpr std::array system_names{
    system_name{ENOENT, "ENOENT", errc::file_not_found},
    system_name{ENOTDIR, "ENOTDIR", errc::invalid_path},
    system_name{EISDIR, "EISDIR", errc::file_invalid_type},
    system_name{ENAMETOOLONG, "ENAMETOOLONG", errc::invalid_path},
    system_name{ELOOP, "ELOOP", errc::invalid_path},
    system_name{EACCES, "EACCES", errc::file_access_denied},
    system_name{EPERM, "EPERM", errc::file_access_denied},
    system_name{EROFS, "EROFS", errc::file_access_denied},
    system_name{EEXIST, "EEXIST", errc::file_access_denied},
    system_name{ENOTEMPTY, "ENOTEMPTY", errc::file_access_denied},
    system_name{EBUSY, "EBUSY", errc::file_access_denied},
    system_name{ETXTBSY, "ETXTBSY", errc::file_access_denied},
    system_name{EAGAIN, "EAGAIN", errc::file_access_denied},
    system_name{ENOSPC, "ENOSPC", errc::disk_full},
    system_name{EFBIG, "EFBIG", errc::disk_full},
    system_name{ENOMEM, "ENOMEM", errc::out_of_memory},
    system_name{EMFILE, "EMFILE", errc::out_of_memory},
    system_name{ENFILE, "ENFILE", errc::out_of_memory},
    system_name{EINVAL, "EINVAL", errc::invalid_parameter},
    system_name{ECANCELED, "ECANCELED", errc::backup_abort_by_caller},
    system_name{EIO, "EIO", errc::disk_io},
    system_name{ENXIO, "ENXIO", errc::disk_io},
    system_name{ENODEV, "ENODEV", errc::disk_io},
    system_name{EBADF, "EBADF", errc::disk_io},
    system_name{EINTR, "EINTR", errc::disk_io},
    system_name{EPIPE, "EPIPE", errc::disk_io},
    system_name{ENOSYS, "ENOSYS", errc::disk_io},
    system_name{EOPNOTSUPP, "EOPNOTSUPP", errc::disk_io},
    system_name{ETIMEDOUT, "ETIMEDOUT", errc::disk_io},
    system_name{ECONNRESET, "ECONNRESET", errc::disk_io},
// Not every system has these.
#ifdef EDQUOT
    system_name{EDQUOT, "EDQUOT", errc::disk_full},
#endif
#ifdef ESTALE
    system_name{ESTALE, "ESTALE", errc::disk_io},
#endif
};

// The errno that says the same; 0: none does. Not every system's own numbers are those of errno.
int errno_of(std::error_code ec) noexcept {
  // Asio has a system category of its own, with the same numbers, which it does not translate.
  if (ec.category() == asio::error::get_system_category()) ec.assign(ec.value(), std::system_category());
  if (ec.category() == std::generic_category()) return ec.value();
  if (ec.category() != std::system_category()) return 0;
  if (ec.value() == asio::error::operation_aborted) return ECANCELED;
  const std::error_condition meaning = ec.default_error_condition();
  if (meaning.category() == std::generic_category()) return meaning.value();
  const bool numbers_are_errno = std::system_category().default_error_condition(EEXIST) == std::errc::file_exists;
  return numbers_are_errno ? ec.value() : 0;
}

const system_name* find_system(std::error_code ec) noexcept {
  const int value = errno_of(ec);
  for (const system_name& s : system_names)
    if (s.value == value) return &s;
  return nullptr;
}

std::string describe(const error_details& d) {
  std::string text = d.operation;
  if (!d.file.empty()) text += (text.empty() ? "" : ": ") + d.file;
  if (d.offset) text += (text.empty() ? "at offset " : " at offset ") + std::to_string(*d.offset);
  if (!d.expected.empty()) text += (text.empty() ? "expected " : ": expected ") + d.expected;
  if (!d.found.empty()) text += d.expected.empty() ? (text.empty() ? "" : ": ") + d.found : ", found " + d.found;
  return text;
}

}  // namespace

const std::error_category& category() noexcept {
  static const contrail_category instance;
  return instance;
}

std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

std::int32_t to_jet(std::error_code ec) noexcept {
  if (!ec) return 0;
  if (ec.category() == category()) {
    return ec.value() <= -20001 ? static_cast<std::int32_t>(nearest(static_cast<errc>(ec.value()))) : ec.value();
  }
  if (const system_name* s = find_system(ec)) return static_cast<std::int32_t>(s->jet);
  return static_cast<std::int32_t>(errc::disk_io);
}

std::error_code from_jet(std::int32_t number) noexcept {
  return number == 0 ? std::error_code() : std::error_code(number, category());
}

std::string_view name_of(std::error_code ec) noexcept {
  if (!ec) return {};
  if (ec.category() == category()) {
    const entry* e = find(ec.value());
    return e != nullptr ? e->name : std::string_view();
  }
  const system_name* s = find_system(ec);
  return s != nullptr ? s->name : std::string_view();
}

error::error(std::error_code ec, error_details details) : std::system_error(ec, describe(details)), details_(std::move(details)) {}

void fail(std::error_code ec, std::string operation, std::string file, std::optional<std::uint64_t> offset, std::string expected,
          std::string found) {
  error_details details;
  details.operation = std::move(operation);
  details.file = std::move(file);
  details.offset = offset;
  details.expected = std::move(expected);
  details.found = std::move(found);
  throw error(ec, std::move(details));
}

}  // namespace contrail
