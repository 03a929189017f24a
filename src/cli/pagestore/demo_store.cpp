#include "cli/pagestore/demo_store.hpp"

#include "cli/pagestore/bench_run.hpp"
#include "cli/pagestore/store_commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace contrail::cli {

namespace {

namespace fs = std::filesystem;

constexpr unsigned databases = 3, writers = 8, alone_seconds = 1;
constexpr std::uint64_t accounts = 20000;
/// Of logs, which come into the set as well: what the writers fill meanwhile, and the rest of a file.
constexpr std::uint64_t logs_about = std::uint64_t{16} << 20;

/// Empty: all that was acknowledged before the backup began is there, nothing that came after its end, and not a cent is missing.
std::string judge(const store_findings& found, const bench_result& made) {
  if (!found.damage.empty()) {
    return fmt::format("{} at byte {}: {}", found.damage.front().file, found.damage.front().offset, found.damage.front().what);
  }
  if (!found.total || found.total != found.expected_total) {
    return "it holds no bank, or not all of its money";
  }
  std::vector<std::uint64_t> last(made.acknowledged_before.size());
  for (const auto& [writer, sequence] : found.writers) {
    if (writer >= last.size()) {
      return fmt::format("writer {} was never there", writer);
    }
    last[writer] = sequence;
  }
  for (std::size_t i = 0; i < last.size(); ++i) {
    if (last[i] < made.acknowledged_before[i]) {
      return fmt::format("writer {} had {} transactions acknowledged before the backup began, {} are there", i, made.acknowledged_before[i], last[i]);
    }
    // One may have been committed whose acknowledgement was still under way.
    if (last[i] > made.acknowledged_after[i] + 1) {
      return fmt::format("writer {} had {} transactions at the end of the backup, {} are there", i, made.acknowledged_after[i], last[i]);
    }
  }
  return {};
}

std::string row(std::string_view label, std::string_view before, std::string_view during) {
  return fmt::format("   {:<26}{:>18}{:>18}\n", label, before, during);
}

std::string show(std::chrono::nanoseconds took) { return fmt::format("{:.1f} ms", static_cast<double>(took.count()) / 1e6); }

std::string show_laps(const store_bank::lap& before, const store_bank::lap& during) {
  std::string out = row("the writers", "before", "during the backup");
  out += row("commits a second", fmt::format("{:.1f}", before.per_second()), fmt::format("{:.1f}", during.per_second()));
  out += row("99 of 100 commits within", show(before.took.quantile(0.99)), show(during.took.quantile(0.99)));
  out += row("slowest commit", show(before.took.max()), show(during.took.max()));
  return out;
}

}  // namespace

bool show_store(const arguments& given, const fs::path& place, io::file_system files, unsigned step, console& out, runner& loop) {
  const fs::path directory = place / "store";
  out.print(fmt::format("{}. A bank of {} accounts in {} databases of a pagestore, Contrail's embedded engine: {}\n", step, accounts, databases,
                        printable(io::to_text(directory))));
  const created_bank bank = loop.run(create_bank(files, directory, databases, accounts));
  std::uint64_t bytes = logs_about;
  for (const std::string& name : bank.databases) {
    bytes += fs::file_size(directory / io::to_path(name));
  }

  store_arguments load;
  load.directory = directory;
  load.writers = writers;
  load.seconds = alone_seconds;
  load.pause = std::chrono::milliseconds(10);
  load.repository = place / "store-repository";
  load.rate_limit = std::max<std::uint64_t>(bytes / given.seconds, 1);
  out.print(fmt::format("{}. {} writers transfer money and never stop; after {} the same process backs its store up, slowed down to {}/s ({})\n",
                        step + 1, writers, show_seconds(alone_seconds), show_bytes(load.rate_limit), to_string(files.info().kind)));
  progress counters;
  const bench_result made = loop.run(run_bench(files, &load, &out, &counters), watched("   backup", counters, false));
  const backup_report& report = made.backups.front().report;
  out.print(fmt::format("   set {}: {} in {}, {} transactions were committed meanwhile\n\n{}\n", report.set, show_bytes(report.bytes),
                        show_seconds(report.seconds), made.during.took.count(), show_laps(made.before, made.during)));

  out.print(fmt::format("{}. contrail restore, and contrail pagestore check of what it has restored\n", step + 2));
  directory_repository repository(files, load.repository);
  pagestore_restorer with(files);
  progress restored;
  restore_options options;
  options.progress = &restored;
  options.files = &files;
  const restore_report back =
      loop.run(restore(repository, with, place / "store-restored", options), watched("   restore", restored, false));
  const store_findings found = check_store(files, back.directory, loop);
  const std::string problem = judge(found, made);
  if (!problem.empty()) {
    out.print(fmt::format("   the restored store is WRONG: {}\n", printable(problem)));
    return false;
  }
  std::uint64_t transactions = 0;
  for (const auto& one : found.writers) {
    transactions += one.second;
  }
  out.print(fmt::format("   the restored store is right: {} transactions, none acknowledged before the backup is missing,\n"
                        "   and the accounts hold {}, as on the first day\n",
                        transactions, *found.total));
  return true;
}

}  // namespace contrail::cli
