#include "cli/failure.hpp"

#include "cli/process.hpp"

#include <asio/error.hpp>
#include <fmt/format.h>

#include <new>
#include <string_view>

namespace contrail::cli {

bool is_damage(std::error_code ec) {
  if (ec.category() != category()) {
    return false;
  }
  switch (static_cast<errc>(ec.value())) {
    case errc::set_damaged:
    case errc::set_incomplete:
    case errc::unsafe_path:
    case errc::log_file_corrupt:
    case errc::invalid_log_sequence:
    case errc::missing_log_file:
    case errc::bad_checkpoint_signature:
    case errc::checkpoint_corrupt:
    case errc::bad_patch_page:
    case errc::redo_abrupt_ended:
    case errc::patch_file_missing:
    case errc::checkpoint_file_not_found:
    case errc::required_log_files_missing:
    case errc::database_patch_file_mismatch:
    case errc::given_log_file_has_bad_signature:
    case errc::given_log_file_is_not_contiguous:
    case errc::missing_restore_log_files:
    case errc::missing_current_log_files:
    // Of sets that are read: they do not belong together.
    case errc::restore_of_non_backup_database:
    case errc::ending_restore_log_too_low:
    case errc::starting_restore_log_too_high:
    case errc::invalid_backup_sequence:
    case errc::missing_full_backup:
    case errc::log_corrupt_during_hard_restore:
    case errc::log_corrupt_during_hard_recovery:
    case errc::committed_log_files_missing:
    case errc::log_read_verify_failure:
    case errc::read_verify_failure:
    case errc::disk_read_verification_failure:
    case errc::page_number_mismatch:
    case errc::lost_flush:
    case errc::database_corrupted:
    case errc::page_size_mismatch:
    case errc::log_sequence_checksum_mismatch:
    case errc::dbtime_too_old:
    case errc::dbtime_too_new:
      return true;
    default:
      return false;
  }
}

namespace {

std::string hint_for(std::error_code ec, std::string_view operation, activity doing) {
  if (ec == errc::set_exists && doing == activity::reads_sets) {
    return "--force replaces files that are there";
  }
  if (ec == errc::set_not_found) {
    return "contrail list shows the sets of a repository";
  }
  if (ec == errc::backup_in_progress) {
    return "wait for the other backup of this database to end; its lock dies with its process";
  }
  if (ec == errc::file_access_denied && operation == "open instance") {
    if (doing == activity::opens_store) {
      return "a process has this store open, and no other one can: end it first. contrail pagestore info looks at its files meanwhile";
    }
    return "a process has this store open. Let that process make the backup, through the API: contrail::backup(instance.backup_engine(), "
           "repository); or end it first";
  }
  if (ec == errc::pin_too_old) {
    return "--max-pin-age allows a longer backup, while the database's log cannot be reused";
  }
  if (ec == errc::pin_too_large) {
    return "--max-log-growth allows more log, a higher --rate-limit makes the backup shorter";
  }
  return {};
}

void set_code(failure& out, std::error_code ec) {
  out.code = ec.value();
  out.name = std::string(name_of(ec));
  if (out.name.empty()) {
    out.name = fmt::format("{}:{}", ec.category().name(), ec.value());
  }
}

}  // namespace

interrupted::interrupted(int signal) : std::runtime_error(fmt::format("interrupted by {}", process::signal_name(signal))), signal_(signal) {}

failure describe(const std::exception_ptr& thrown, activity doing) {
  failure out;
  try {
    std::rethrow_exception(thrown);
  } catch (const usage_error& e) {
    out.exit = exit_status::usage;
    set_code(out, make_error_code(e.code()));
    out.message = e.what();
    out.operation = "command line";
    out.hint = e.hint();
  } catch (const interrupted& e) {
    out.exit = exit_status::signal_base + e.signal();
    set_code(out, make_error_code(std::errc::operation_canceled));
    out.name = "interrupted";
    out.message = e.what();
  } catch (const set_was_made& e) {
    out = describe(e.why(), doing);
    out.set = e.set();
    if (e.has_text()) {
      out.message = e.what();
      out.hint = e.hint();
    }
  } catch (const error& e) {
    set_code(out, e.code());
    out.message = e.what();
    out.operation = e.details().operation;
    out.file = e.details().file;
    out.offset = e.details().offset;
    out.hint = hint_for(e.code(), e.details().operation, doing);
    out.exit = doing == activity::reads_sets && is_damage(e.code()) ? exit_status::damage : exit_status::failed;
  } catch (const std::system_error& e) {
    set_code(out, e.code());
    out.message = e.what();
  } catch (const std::bad_alloc&) {
    set_code(out, make_error_code(errc::out_of_memory));
    out.message = "out of memory";
  } catch (const std::exception& e) {
    out.code = -1;
    out.name = "unexpected";
    out.message = e.what();
  }
  return out;
}

}  // namespace contrail::cli
