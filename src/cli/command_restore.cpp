#include "cli/commands.hpp"
#include "cli/nesting.hpp"
#include "cli/engine_table.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace contrail::cli {

namespace {

/// Which set is meant, and whose it is.
struct chosen {
  chosen() = default;
  std::string set;
  std::string engine;
};

asio::awaitable<chosen> choose(repository& from, std::string set, std::size_t memory) {
  const std::unique_ptr<set_reader> reader = co_await from.open(std::move(set), memory);
  chosen out;
  out.set = reader->info()->set;
  out.engine = reader->info()->engine;
  co_return out;
}

json to_json(const restore_report& report) {
  json out = json_object();
  out["set"] = report.set;
  out["directory"] = report.directory.string();
  out["files"] = report.files;
  out["bytes"] = report.bytes;
  out["seconds"] = report.seconds;
  return out;
}

std::string in_words(const restore_report& report) {
  std::string out = fmt::format("set {} restored into {}: {}, {} in {}\n", report.set, printable(report.directory.string()),
                                show_count(report.files, "file", "files"), show_bytes(report.bytes), show_seconds(report.seconds));
  constexpr std::size_t shown = 20;
  for (std::size_t i = 0; i < report.placed.size() && i < shown; ++i) {
    out += fmt::format("  {}\n", printable(report.placed[i]));
  }
  if (report.placed.size() > shown) {
    out += fmt::format("  and {} more\n", report.placed.size() - shown);
  }
  return out;
}

}  // namespace

int run_restore(const arguments& given, console& out, runner& loop) {
  refuse_inside(given.into, given.repository, "restore", "a directory outside of the repository", "one inside, where the sets are");
  const io::file_system files = open_file_system(given, loop);
  directory_repository repository(files, given.repository);
  restorers known(files);
  progress counters;

  const chosen from = loop.run(choose(repository, given.set, given.memory));
  restorer& with = known.need(from.engine);
  restore_options options;
  // By its id: "latest" may be another set by now.
  options.set = from.set;
  options.overwrite = given.force;
  options.memory = given.memory;
  options.progress = &counters;
  options.files = &files;
  const restore_report report = loop.run(restore(repository, with, given.into, options), watched("restore", counters, false));

  try {
    if (out.as_json()) {
      out.print_json(to_json(report));
    } else {
      out.print(in_words(report));
    }
  } catch (const error&) {
    out.note(fmt::format("set {} is restored, only the report could not be written", report.set));
    throw;
  }
  return exit_status::done;
}

}  // namespace contrail::cli
