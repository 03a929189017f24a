#include "cli/commands.hpp"
#include "cli/engine_table.hpp"
#include "cli/quantities.hpp"

#include <contrail/backup.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/observer.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/awaitable.hpp>
#include <asio/this_coro.hpp>
#include <fmt/format.h>

#include <exception>
#include <utility>

namespace contrail::cli {

namespace {

/// Tells the session's events: those that mean trouble always, the others when asked to.
class event_printer final : public observer {
 public:
  event_printer(console& out, bool all) : out_(out), all_(all) {}

  void on_event(const event& e) noexcept override {
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

 private:
  static bool means_trouble(int number) {
    using namespace event_number;
    return number == missing_full_backup || number == database_failed || number == log_read_failed || number == record_failed ||
           number == logs_already_missing || number == log_missing || number == read_recovered || number == truncation_refused;
  }

  console& out_;
  bool all_;
};

json to_json(const backup_report& report, std::string_view backend) {
  json out = json_object();
  out["set"] = report.set;
  out["kind"] = to_string(report.what);
  out["engine"] = report.engine;
  out["files"] = report.files;
  out["bytes"] = report.bytes;
  out["pages"] = report.pages;
  out["pages_retried"] = report.pages_retried;
  out["seconds"] = report.seconds;
  out["backend"] = backend;
  return out;
}

std::string in_words(const backup_report& report, std::string_view backend) {
  const double rate = report.seconds > 0 ? static_cast<double>(report.bytes) / report.seconds : 0;
  std::string out = fmt::format("set {}: {} backup of {}, {}, {} in {} ({}/s, {})\n", report.set, to_string(report.what), report.engine,
                                show_count(report.files, "file", "files"), show_bytes(report.bytes), show_seconds(report.seconds),
                                show_bytes(static_cast<std::uint64_t>(rate)), backend);
  if (report.pages_retried > 0) {
    out += fmt::format("{} read again\n", show_count(report.pages_retried, "page was", "pages were"));
  }
  return out;
}

/// The set is good, but not all that was asked for: that must not look like success.
void check_complete(const backup_report& report) {
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

/// What came of a backup, and of the source after it.
struct backed_up {
  backed_up() = default;
  backup_report report;
  std::exception_ptr closing;   ///< the set is there, the source could not be ended
};

/// Opens the source, backs it up and ends it, also when the backup failed or was interrupted.
asio::awaitable<backed_up> back_up(source_uri uri, io::file_system files, directory_repository* to, backup_options options,
                                   std::optional<std::uint64_t> log_growth) {
  backed_up out;
  opened_source source = co_await uri.row.open(files, uri.rest);
  options.max_log_growth = log_growth.value_or(source.default_log_growth);
  std::exception_ptr failed;
  try {
    out.report = co_await backup(*source.from, *to, options);
  } catch (...) {
    failed = std::current_exception();
  }
  if (source.keeper) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    try {
      co_await source.keeper->close();
    } catch (...) {
      out.closing = std::current_exception();
    }
  }
  if (failed) {
    std::rethrow_exception(failed);
  }
  co_return out;
}

}  // namespace

int run_backup(const arguments& given, console& out, runner& loop) {
  const source_uri uri = resolve_source(given.source);
  const io::file_system files = open_file_system(given, loop);
  directory_repository repository(files, given.repository);
  repository.on_swept = [&out](const std::string& partial) {
    out.note(fmt::format("removed {}, which an interrupted backup had left behind", partial));
  };
  event_printer events(out, given.verbose);
  progress counters;

  backup_options options;
  options.what = given.backup_kind;
  options.rate_limit = given.rate_limit;
  options.memory = given.memory;
  options.max_pin_age = given.max_pin_age;
  options.events = &events;
  options.progress = &counters;
  const backed_up done = loop.run(back_up(uri, files, &repository, options, given.max_log_growth), watched("backup", counters, false));
  const backup_report& report = done.report;

  if (report.recorded) {
    out.note(fmt::format("the set is good, but the engine could not record it: {}", report.recorded.message()));
  }
  if (report.truncation) {
    out.note(fmt::format("the set is good, but deleting logs stopped: {}", report.truncation.message()));
  }
  check_complete(report);
  if (done.closing) {
    out.note(fmt::format("set {} is complete, but its source did not end well", report.set));
    std::rethrow_exception(done.closing);
  }
  const std::string_view backend = to_string(files.info().kind);
  try {
    if (out.as_json()) {
      out.print_json(to_json(report, backend));
    } else {
      out.print(in_words(report, backend));
    }
  } catch (const error&) {
    out.note(fmt::format("set {} is complete, only the report could not be written", report.set));
    throw;
  }
  return exit_status::done;
}

}  // namespace contrail::cli
