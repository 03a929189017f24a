#include "cli/commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/sinks/directory.hpp>

#include <fmt/format.h>

namespace contrail::cli {

namespace {

json to_json(const std::vector<set_entry>& sets) {
  json rows = json::array();
  for (const set_entry& entry : sets) {
    json row;
    row["set"] = entry.set;
    row["kind"] = nullptr;
    row["parent"] = nullptr;
    row["engine"] = nullptr;
    row["created"] = nullptr;
    row["bytes"] = nullptr;
    if (entry.info) {
      row["kind"] = to_string(entry.info->what);
      if (!entry.info->parent.empty()) {
        row["parent"] = entry.info->parent;
      }
      row["engine"] = entry.info->engine;
      row["created"] = show_time(entry.info->created_unix_ns);
      row["bytes"] = entry.info->bytes;
    }
    row["status"] = to_string(entry.status);
    rows.push_back(std::move(row));
  }
  json out = json_object();
  out["sets"] = std::move(rows);
  return out;
}

std::string in_words(const std::vector<set_entry>& sets) {
  if (sets.empty()) {
    return "no sets yet\n";
  }
  std::string out = fmt::format("{:<25}  {:<12}  {:<9}  {:<20}  {:>10}  {}\n", "SET", "KIND", "ENGINE", "CREATED", "SIZE", "STATUS");
  for (const set_entry& entry : sets) {
    const bool known = entry.info != nullptr;
    out += fmt::format("{:<25}  {:<12}  {:<9}  {:<20}  {:>10}  {}\n", printable(entry.set), known ? to_string(entry.info->what) : "-",
                       known ? printable(entry.info->engine) : "-", known ? show_time(entry.info->created_unix_ns) : "-",
                       known ? show_bytes(entry.info->bytes) : "-", to_string(entry.status));
  }
  return out;
}

}  // namespace

int run_list(const arguments& given, console& out, runner& loop) {
  const io::file_system files = open_file_system(given, loop);
  directory_repository repository(files, given.repository);
  const std::vector<set_entry> sets = loop.run(repository.list());
  if (out.as_json()) {
    out.print_json(to_json(sets));
  } else {
    out.print(in_words(sets));
  }
  for (const set_entry& entry : sets) {
    if (entry.status == set_status::damaged && !entry.why.empty()) {
      out.note(fmt::format("{}: {}", entry.set, entry.why));
    }
  }
  return exit_status::done;
}

}  // namespace contrail::cli
