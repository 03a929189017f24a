#pragma once

#include "cli/console.hpp"

#include <contrail/backup.hpp>
#include <contrail/observer.hpp>

#include <cstdint>

/// What a backup tells while it runs and when it has ended, beside its figures.
namespace contrail::cli {

/// Tells the session's events: those that mean trouble always, the others when asked to.
class event_printer final : public observer {
 public:
  event_printer(console& out, bool all) : out_(out), all_(all) {}
  void on_event(const event& e) noexcept override;

 private:
  console& out_;
  bool all_;
};

/// How many logs the backup has deleted.
inline std::uint64_t logs_deleted(const backup_report& report) noexcept {
  return report.truncated.empty() ? 0 : report.truncated.end - report.truncated.first;
}

/// Notes what did not go as asked though the set is good. Fails with `set_was_made` when it lacks databases: that must not look
/// like success.
void tell_remarks(const backup_report& report, console& out);

}  // namespace contrail::cli
