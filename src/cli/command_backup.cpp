#include "cli/backup_talk.hpp"
#include "cli/commands.hpp"
#include "cli/engine_table.hpp"
#include "cli/nesting.hpp"
#include "cli/quantities.hpp"

#include <contrail/backup.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/awaitable.hpp>
#include <asio/this_coro.hpp>
#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

namespace contrail::cli {

namespace {

json to_json(const backup_report& report, std::string_view backend) {
  json out = json_object();
  out["set"] = report.set;
  out["kind"] = to_string(report.what);
  out["engine"] = report.engine;
  out["files"] = report.files;
  out["bytes"] = report.bytes;
  out["pages"] = report.pages;
  out["pages_retried"] = report.pages_retried;
  out["logs_deleted"] = logs_deleted(report);
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
  if (const std::uint64_t deleted = logs_deleted(report); deleted > 0) {
    out += fmt::format("{} deleted\n", show_count(deleted, "log was", "logs were"));
  }
  return out;
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
  if (given.truncate_logs && !uri.row.truncates) {
    throw usage_error(fmt::format("--truncate-logs: {} has no logs that a backup could delete", uri.row.name));
  }
  // The next backup would find the sets among the files of the source.
  const std::filesystem::path named = io::to_path(uri.rest);
  std::error_code ignored;
  if (std::filesystem::is_directory(named, ignored)) {
    refuse_inside(given.repository, named, "back up", "a repository outside of what is backed up", "one inside");
  }
  const io::file_system files = open_file_system(given, loop);
  directory_repository repository(files, given.repository);
  repository.on_swept = [&out](const std::string& partial) {
    out.note(fmt::format("removed {}, which an interrupted backup had left behind", partial));
  };
  event_printer events(out, given.verbose);
  progress counters;

  backup_options options;
  options.what = given.backup_kind;
  options.truncate_logs = given.truncate_logs;
  options.rate_limit = given.rate_limit;
  options.memory = given.memory;
  options.max_pin_age = given.max_pin_age;
  options.events = &events;
  options.progress = &counters;
  const backed_up done = loop.run(back_up(uri, files, &repository, options, given.max_log_growth), watched("backup", counters, false));
  const backup_report& report = done.report;

  tell_remarks(report, out);
  if (done.closing) {
    out.note(fmt::format("set {} is complete, but its source did not end well", report.set));
    throw set_was_made(report.set, done.closing);
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
