#include "cli/commands.hpp"
#include "cli/engine_table.hpp"
#include "cli/quantities.hpp"

#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace contrail::cli {

namespace {

json to_json(const verify_report& report) {
  json sets = json::array();
  for (const verify_entry& entry : report.sets) {
    json damage = json::array();
    for (const file_damage& found : entry.damage) {
      json one;
      one["file"] = found.file;
      one["offset"] = nullptr;
      if (found.offset) {
        one["offset"] = *found.offset;
      }
      one["what"] = found.what;
      damage.push_back(std::move(one));
    }
    json row;
    row["set"] = entry.set;
    row["status"] = entry.damage.empty() ? "good" : "damaged";
    row["damage"] = std::move(damage);
    sets.push_back(std::move(row));
  }
  json out = json_object();
  out["sets"] = std::move(sets);
  return out;
}

std::string in_words(const verify_report& report, std::size_t damaged) {
  std::string out;
  for (const verify_entry& entry : report.sets) {
    out += fmt::format("{}  {}\n", printable(entry.set), !entry.damage.empty() ? "damaged" : entry.proven ? "good, proven" : "good");
    for (const file_damage& found : entry.damage) {
      std::string place = found.file.empty() ? std::string("the set") : printable(found.file);
      if (found.offset) {
        place += fmt::format(" at byte {}", *found.offset);
      }
      out += fmt::format("  {}: {}\n", place, printable(found.what));
    }
  }
  out += fmt::format("{}, {}\n", show_count(report.sets.size(), "set", "sets"),
                     damaged == 0 ? std::string("no damage") : fmt::format("{} damaged", damaged));
  return out;
}

}  // namespace

int run_verify(const arguments& given, console& out, runner& loop) {
  const io::file_system files = open_file_system(given, loop);
  directory_repository repository(files, given.repository);
  restorers provers(files);
  progress counters;

  verify_options options;
  options.set = given.set;
  options.memory = given.memory;
  options.scratch = given.scratch.empty() ? nullptr : &given.scratch;
  options.progress = &counters;
  options.files = &files;
  restorer_registry* const prove_with = given.prove ? &provers : nullptr;
  const verify_report report = loop.run(verify(repository, prove_with, options), watched("verify", counters, true));

  const auto damaged = static_cast<std::size_t>(
      std::count_if(report.sets.begin(), report.sets.end(), [](const verify_entry& entry) { return !entry.damage.empty(); }));
  if (out.as_json()) {
    out.print_json(to_json(report));
  } else {
    out.print(in_words(report, damaged));
  }
  return damaged == 0 ? exit_status::done : exit_status::damage;
}

}  // namespace contrail::cli
