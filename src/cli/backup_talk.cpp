#include "cli/backup_talk.hpp"

#include "cli/failure.hpp"
#include "cli/quantities.hpp"

#include <contrail/error.hpp>

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

namespace contrail::cli {

namespace {

bool means_trouble(int number) {
  using namespace event_number;
  return number == missing_full_backup || number == database_failed || number == log_read_failed || number == record_failed ||
         number == logs_already_missing || number == log_missing || number == read_recovered || number == truncation_refused;
}

}  // namespace

void event_printer::on_event(const event& e) noexcept {
  try {
    if (!all_ && !means_trouble(e.number)) {
      return;
    }
    std::string text = fmt::format("[{}] {}", e.number, e.text);
    if (e.ec) {
      text += fmt::format(": {}", e.ec.message());
    }
    out_.note(text);
  } catch (const std::exception&) {
    // No memory for a note: the operation matters more.
  }
}

void tell_remarks(const backup_report& report, console& out) {
  if (report.recorded) {
    out.note(fmt::format("the set is good, but the engine could not record it: {}", report.recorded.message()));
  }
  if (report.truncation) {
    out.note(fmt::format("the set is good, but deleting logs stopped: {}", report.truncation.message()));
  }
  if (report.failed_databases.empty()) {
    return;
  }
  std::string names;
  for (const auto& [name, ec] : report.failed_databases) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", printable(name), ec.message());
  }
  error_details first;
  first.operation = "back up every database";
  first.file = report.failed_databases.front().first;
  const error why(report.failed_databases.front().second, std::move(first));
  const std::string text = fmt::format("set {} was made WITHOUT {}; the other databases are in it", report.set, names);
  throw set_was_made(report.set, std::make_exception_ptr(why), text,
                     "it is the latest set now, and list shows it as complete: mend what failed, and back up again");
}

}  // namespace contrail::cli
