#include "cli/backup_talk.hpp"
#include "cli/pagestore/bench_run.hpp"
#include "cli/pagestore/store_commands.hpp"
#include "cli/quantities.hpp"

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace contrail::cli {

namespace {

using store_bank::lap;

double microseconds(std::chrono::nanoseconds took) { return static_cast<double>(took.count()) / 1000; }

std::string show(std::chrono::nanoseconds took) { return fmt::format("{:.2f} ms", microseconds(took) / 1000); }

json to_json(const lap& one) {
  json out;
  out["seconds"] = one.seconds;
  out["commits"] = one.took.count();
  out["commits_per_second"] = one.per_second();
  out["p50_us"] = microseconds(one.took.quantile(0.5));
  out["p99_us"] = microseconds(one.took.quantile(0.99));
  out["max_us"] = microseconds(one.took.max());
  out["conflicts"] = one.conflicts;
  return out;
}

json to_json(const made_backup& one) {
  json out;
  out["set"] = one.report.set;
  out["kind"] = to_string(one.report.what);
  out["parent"] = nullptr;
  if (!one.parent.empty()) {
    out["parent"] = one.parent;
  }
  out["files"] = one.report.files;
  out["bytes"] = one.report.bytes;
  out["pages"] = one.report.pages;
  out["pages_retried"] = one.report.pages_retried;
  out["logs_deleted"] = logs_deleted(one.report);
  out["seconds"] = one.report.seconds;
  return out;
}

json to_json(const store_arguments& given, const bench_result& result, std::string_view backend) {
  json out = json_object();
  out["writers"] = given.writers;
  out["accounts"] = result.accounts;
  out["databases"] = result.databases;
  out["circular"] = given.circular;
  out["backend"] = backend;
  out["before"] = to_json(result.before);
  out["during"] = nullptr;
  if (!result.backups.empty()) {
    out["during"] = to_json(result.during);
  }
  json backups = json::array();
  for (const made_backup& one : result.backups) {
    backups.push_back(to_json(one));
  }
  out["backups"] = std::move(backups);
  return out;
}

std::string in_words(const store_arguments& given, const bench_result& result, std::string_view backend) {
  const bool backed_up = !result.backups.empty();
  std::string out = fmt::format("{}, {} in {}, {}\n", show_count(given.writers, "writer", "writers"),
                                show_count(result.accounts, "account", "accounts"), show_count(result.databases, "database", "databases"), backend);
  const auto row = [&out, backed_up](std::string_view label, const std::string& before, const std::string& during) {
    out += backed_up ? fmt::format("{:<26}{:>16}{:>16}\n", label, before, during) : fmt::format("{:<26}{:>16}\n", label, before);
  };
  const lap& b = result.before;
  const lap& d = result.during;
  if (backed_up) {
    row("", "before", "during backups");
  }
  row("for", show_seconds(b.seconds), show_seconds(d.seconds));
  row("commits a second", fmt::format("{:.1f}", b.per_second()), fmt::format("{:.1f}", d.per_second()));
  row("a commit: half of them", show(b.took.quantile(0.5)), show(d.took.quantile(0.5)));
  row("  99 of 100", show(b.took.quantile(0.99)), show(d.took.quantile(0.99)));
  row("  the slowest", show(b.took.max()), show(d.took.max()));
  row("write conflicts", std::to_string(b.conflicts), std::to_string(d.conflicts));
  for (const made_backup& one : result.backups) {
    const backup_report& report = one.report;
    out += fmt::format("set {}: {} backup, {}, {} in {}", report.set, to_string(report.what), show_count(report.files, "file", "files"),
                       show_bytes(report.bytes), show_seconds(report.seconds));
    out += report.pages_retried == 0 ? "\n" : fmt::format(", {} read again\n", show_count(report.pages_retried, "page was", "pages were"));
  }
  return out;
}

}  // namespace

int run_store_bench(const store_arguments& given, io::file_system files, console& out, runner& loop) {
  progress counters;
  const bench_result result = loop.run(run_bench(files, &given, &out, &counters));
  const std::string_view backend = to_string(files.info().kind);
  try {
    if (out.as_json()) {
      out.print_json(to_json(given, result, backend));
    } else {
      out.print(in_words(given, result, backend));
    }
  } catch (...) {
    tell_sets(result, out);
    throw;
  }
  return exit_status::done;
}

}  // namespace contrail::cli
