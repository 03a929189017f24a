#include "cli/pagestore/store_commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>

#include <fmt/format.h>

namespace contrail::cli {

namespace {

using pagestore::database_facts;
using pagestore::remembered_backup;
using pagestore::store_facts;

std::string show(pagestore::lgpos at) { return fmt::format("{:05X}:{}", at.generation(), at.offset()); }

json to_json(const std::optional<remembered_backup>& one) {
  if (!one) {
    return nullptr;
  }
  json out;
  out["position"] = one->at.position;
  out["time"] = show_time(one->at.unix_nanoseconds);
  out["first_generation"] = one->first;
  out["last_generation"] = one->last;
  return out;
}

json to_json(const database_facts& one) {
  json out;
  out["name"] = store::name_of(one);
  if (!one.problem.empty()) {
    out["problem"] = one.problem;
    return out;
  }
  out["problem"] = nullptr;
  out["state"] = one.state;
  out["signature"] = store::text_of(one.identity);
  out["page_size"] = one.page_size;
  out["pages"] = one.pages;
  out["dbtime"] = one.dbtime;
  out["min_required"] = one.min_required;
  out["max_required"] = one.max_required;
  out["copy"] = one.copy;
  json backups;
  backups["full"] = to_json(one.full);
  backups["incremental"] = to_json(one.incremental);
  backups["copy"] = to_json(one.copied);
  backups["differential"] = to_json(one.differential);
  out["backups"] = std::move(backups);
  return out;
}

json to_json(const store_facts& facts) {
  json out = json_object();
  out["directory"] = io::to_text(facts.how.directory);
  out["page_size"] = facts.how.page_size;
  out["logs"] = nullptr;
  out["checkpoint"] = nullptr;
  if (facts.first_generation != 0) {
    json logs;
    logs["base_name"] = facts.how.base_name;
    logs["signature"] = store::text_of(facts.log);
    logs["file_size"] = facts.how.log_file_size;
    logs["first_generation"] = facts.first_generation;
    logs["last_generation"] = facts.last_generation;
    logs["current"] = facts.has_current;
    out["logs"] = std::move(logs);
  }
  if (facts.checkpoint) {
    json checkpoint;
    checkpoint["generation"] = facts.checkpoint->generation();
    checkpoint["offset"] = facts.checkpoint->offset();
    out["checkpoint"] = std::move(checkpoint);
  }
  json databases = json::array();
  for (const database_facts& one : facts.databases) {
    databases.push_back(to_json(one));
  }
  out["databases"] = std::move(databases);
  return out;
}

std::string in_words(const char* label, const std::optional<remembered_backup>& one) {
  if (!one) {
    return {};
  }
  return fmt::format("  {} backup at {}, {}, generations {:X} to {:X}\n", label, show(pagestore::lgpos{one->at.position}),
                     show_time(one->at.unix_nanoseconds), one->first, one->last);
}

std::string in_words(const database_facts& one) {
  const std::string name = printable(store::name_of(one));
  if (!one.problem.empty()) {
    return fmt::format("{}: cannot be read: {}\n", name, printable(one.problem));
  }
  std::string out = fmt::format("{}: {}, {} of {}, dbtime {}\n  signature {}\n", name, one.copy ? "a copy that was not replayed" : one.state,
                                show_count(one.pages, "page", "pages"), show_bytes(one.page_size), one.dbtime, store::text_of(one.identity));
  if (one.max_required != 0) {
    out += fmt::format("  needs generations {:X} to {:X}\n", one.min_required, one.max_required);
  }
  out += in_words("full", one.full) + in_words("incremental", one.incremental) + in_words("differential", one.differential) +
         in_words("copy", one.copied);
  return out;
}

std::string in_words(const store_facts& facts) {
  std::string out = fmt::format("{}\n", printable(io::to_text(facts.how.directory)));
  if (facts.first_generation == 0) {
    out += "no logs: databases alone, as a restore leaves them\n";
  } else {
    out += fmt::format("logs {:X} to {:X} of {}{}, base name {}, signature {}\n", facts.first_generation, facts.last_generation,
                       show_bytes(facts.how.log_file_size), facts.has_current ? "" : ", the last one closed", facts.how.base_name, store::text_of(facts.log));
    out += facts.checkpoint ? fmt::format("checkpoint at {}: recovery begins there\n", show(*facts.checkpoint))
                            : std::string("no checkpoint that can be read: recovery begins at the first log\n");
  }
  for (const database_facts& one : facts.databases) {
    out += in_words(one);
  }
  return out;
}

}  // namespace

int run_store_info(const store_arguments& given, io::file_system files, console& out, runner& loop) {
  const store_facts facts = loop.run(pagestore::inspect(files, given.directory));
  if (out.as_json()) {
    out.print_json(to_json(facts));
  } else {
    out.print(in_words(facts));
  }
  return exit_status::done;
}

}  // namespace contrail::cli
