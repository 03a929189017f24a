#pragma once

#include <contrail/types.hpp>

#include <string_view>
#include <system_error>

namespace contrail {

/// Numbers of the ESE application log (ESE specification, section 4.9).
namespace event_number {
inline constexpr int missing_full_backup = 206, full_started = 210, incremental_started = 211, ended = 213, ended_with_error = 214,
                     ended_by_caller = 215, database_failed = 217, log_read_failed = 218, record_failed = 219, copy_started = 220,
                     copy_complete = 221, copy_stopped = 222, log_range_known = 223, logs_deleted = 224, no_logs_deleted = 225,
                     ended_by_server = 226, logs_already_missing = 227, log_missing = 459, read_recovered = 493,
                     truncation_refused = 520;
}  // namespace event_number

/// Something worth a line in a log. `text` lives as long as the call.
struct event {
  int number = 0;
  kind what = kind::full;
  std::string_view text;
  std::error_code ec;
};

/// Installed by the caller; called on the session's strand; must outlive the session.
class observer {
 public:
  virtual ~observer() = default;
  virtual void on_event(const event& e) noexcept = 0;
};

}  // namespace contrail
