#include "cli/backup_talk.hpp"

#include "cli/quantities.hpp"

#include <contrail/error.hpp>

#include <fmt/format.h>

#include <exception>
#include <string>

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
  fail(report.failed_databases.front().second, "back up every database", report.failed_databases.front().first, {},
       "a set with all databases", fmt::format("set {} was committed without {}", report.set, names));
}

}  // namespace contrail::cli
