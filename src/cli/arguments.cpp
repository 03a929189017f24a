#include "cli/arguments.hpp"

#include "cli/build_info.hpp"
#include "cli/failure.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace contrail::cli {

namespace {

/// Below it the operations cannot keep a few chunks in flight, and refuse.
constexpr std::uint64_t least_memory = std::uint64_t{1} << 20;

constexpr const char* program_footer = R"(Examples:
  contrail backup sqlite:/srv/app.db --to /backup/app
  contrail list /backup/app
  contrail verify /backup/app --prove
  contrail restore /backup/app --into /srv/restored

Sizes are bytes, or end in K, M, G, T (powers of 1024). Durations end in s, m, h or d.

Exit status:
  0    done
  1    failed; also nothing to verify or restore, and an engine that was not built in
  2    wrong usage, or an unknown engine
  3    damage found: in a set, by verify or restore; in a store, by pagestore check
  130  interrupted by SIGINT; 143 by SIGTERM. Everything was cleaned up.

"contrail COMMAND --help" tells more about a command. Manual: contrail(1).)";

constexpr const char* backup_footer = R"(The source is ENGINE:PLACE. Engines:
  sqlite:PATH           a database in WAL mode; other processes may read and write it all the while
  pagestore:DIRECTORY   a store that no process has open: it is recovered, backed up and ended cleanly
The repository is a directory. It is made when missing; the directory above it must exist.

Examples:
  contrail backup sqlite:/srv/app.db --to /backup/app
  contrail backup sqlite:/srv/app.db --to /backup/app --rate-limit 20M --max-pin-age 2h
  contrail backup pagestore:/srv/bank --to /backup/bank --truncate-logs
  contrail backup sqlite:/srv/app.db --to /backup/app --json

When a database of several cannot be read the set is made WITHOUT it; that is a failure, which names the set (with --json: error.set).

Exit status: 0 the set is complete and durable; 1 failed: nothing was left behind, but for a set that the message names; 2 wrong usage,
unknown engine; 130 SIGINT, 143 SIGTERM, everything was cleaned up.)";

constexpr const char* list_footer = R"("complete" means that the description of the set is whole; verify reads every byte.

Examples:
  contrail list /backup/app
  contrail list /backup/app --json

Exit status: 0 done, also when there is no set; 1 not a repository, or it cannot be read; 2 wrong usage.)";

constexpr const char* verify_footer = R"(Every byte of every set is read and checked. --prove also recovers each set in a scratch directory and lets its engine check the
result: that takes as much free space as the set's database.

Examples:
  contrail verify /backup/app
  contrail verify /backup/app --set latest --prove --scratch /var/tmp

Exit status: 0 all sets are good; 3 damage found; 1 nothing to verify, or it could not be done; 2 wrong usage;
130 SIGINT, 143 SIGTERM.)";

constexpr const char* restore_footer = R"(Everything is written under hidden names, checked and recovered first; only then do the files get their names. The directory is
made when missing. A file that a process has open is never replaced, --force or not.

Examples:
  contrail restore /backup/app --into /srv/restored
  contrail restore /backup/app --set 20261123T101500Z-1f2e3d4c --into /srv --force

Exit status: 0 restored; 1 failed, nothing was changed; 2 wrong usage; 3 the set is damaged, nothing was changed;
130 SIGINT, 143 SIGTERM, everything was cleaned up.)";

constexpr const char* info_footer = R"(Examples:
  contrail info
  CONTRAIL_IO_BACKEND=threads contrail info --json

Exit status: 0 done; 1 failed; 2 wrong usage.)";

constexpr const char* demo_footer = R"(Makes a bank in a SQLite database, lets other processes transfer money, backs it up meanwhile, proves and restores the set, and checks
the restored bank: every transaction that was acknowledged before the backup began is there, and not a cent is missing. A plain copy
of the files, made at the same pace, is checked beside it. Then the same with a pagestore, where writers and backup are one process; a build
without SQLite shows that alone. Takes less than 30 seconds.

Exit status: 0 what was restored is right; 1 it is not, or something failed; 2 wrong usage; 130 SIGINT, 143 SIGTERM.)";

/// Options as text, before their units are looked at.
struct raw {
  store_texts store;
  std::string kind = "full", rate_limit = "none", memory = "64M", backend = "auto", progress = "auto", max_pin_age = "1h", max_log_growth,
              repository, into, scratch, directory;
};

void add_json(CLI::App& app, arguments& out) {
  app.add_flag("--json", out.as_json, "One JSON object on standard output, also on failure");
}
void add_memory(CLI::App& app, raw& text) {
  app.add_option("--memory", text.memory, "All buffers and tables (default: 64M)")->type_name("SIZE");
}
void add_backend(CLI::App& app, raw& text) {
  app.add_option("--io-backend", text.backend, "auto, uring, iocp or threads (default: auto, which CONTRAIL_IO_BACKEND may set)")->type_name("NAME");
}
void add_progress(CLI::App& app, raw& text) {
  app.add_option("--progress", text.progress, "auto, always or never (default: auto: on a terminal, and without --json)")->type_name("WHEN");
}
void add_repository(CLI::App& app, raw& text) {
  app.add_option("repository", text.repository, "Directory that holds the sets")->required()->type_name("");
}

CLI::App* add_command(CLI::App& app, const char* name, const char* description, const char* footer) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer(footer);
  return command;
}

void define(CLI::App& app, arguments& out, raw& text) {
  app.footer(program_footer);
  app.set_version_flag("--version", fmt::format("contrail {}", build_info::version()), "Print the version and exit");
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  app.get_formatter()->label("REQUIRED", "");

  CLI::App* backup = add_command(app, "backup", "Back up a database while others use it", backup_footer);
  backup->add_option("source", out.source, "What to back up: sqlite:PATH or pagestore:DIRECTORY")->required()->type_name("");
  backup->add_option("--to", text.repository, "Repository: the directory that gets the set (required)")->required()->type_name("DIR");
  backup->add_option("--kind", text.kind, "full, or copy: a full that no later backup builds on (default: full)")->type_name("KIND");
  backup->add_option("--rate-limit", text.rate_limit, "Bytes a second (default: none)")->type_name("SIZE");
  backup->add_option("--max-pin-age", text.max_pin_age, "Give up after that time; the log grows meanwhile (default: 1h)")->type_name("TIME");
  backup
      ->add_option("--max-log-growth", text.max_log_growth,
                   "Give up when the log grew by that much (default: sqlite: half of the free space on its disk; pagestore: none)")
      ->type_name("SIZE");
  backup->add_flag("--truncate-logs", out.truncate_logs, "When the set is complete, delete the logs that are not needed after it (pagestore, full)");
  add_memory(*backup, text);
  add_backend(*backup, text);
  add_progress(*backup, text);
  backup->add_flag("-v,--verbose", out.verbose, "Tell the steps on standard error");
  add_json(*backup, out);

  CLI::App* list = add_command(app, "list", "List the sets of a repository", list_footer);
  add_repository(*list, text);
  add_backend(*list, text);
  add_json(*list, out);

  CLI::App* verify = add_command(app, "verify", "Read sets back and check every byte", verify_footer);
  add_repository(*verify, text);
  verify->add_option("--set", out.set, "Id of a set, latest or all (default: all)")->type_name("ID");
  CLI::Option* prove = verify->add_flag("--prove", out.prove, "Also recover each set and let its engine check it");
  verify->add_option("--scratch", text.scratch, "Where to recover (default: the system's temporary directory)")->needs(prove)->type_name("DIR");
  add_memory(*verify, text);
  add_backend(*verify, text);
  add_progress(*verify, text);
  add_json(*verify, out);

  CLI::App* restore = add_command(app, "restore", "Put the files of a set back", restore_footer);
  add_repository(*restore, text);
  restore->add_option("--into", text.into, "Directory for the files (required)")->required()->type_name("DIR");
  restore->add_option("--set", out.set, "Id of a set, or latest (default: latest)")->type_name("ID");
  restore->add_flag("--force", out.force, "Replace files that are there");
  add_memory(*restore, text);
  add_backend(*restore, text);
  add_progress(*restore, text);
  add_json(*restore, out);

  CLI::App* info = add_command(app, "info", "Tell what this build can do, and which I/O backend runs", info_footer);
  add_backend(*info, text);
  add_json(*info, out);

  for (CLI::App* const command : define_store(app, out.store, text.store)) {
    add_backend(*command, text);
    add_json(*command, out);
  }

  CLI::App* demo = add_command(app, "demo", "See it work: a bank, writers, a backup, a restore, a check", demo_footer);
  demo->add_option("--dir", text.directory, "Where to work (default: the system's temporary directory)")->type_name("DIR");
  demo->add_flag("--keep", out.keep, "Leave the files for inspection");
  demo->add_option("--seconds", out.seconds, "How long the backup is made to take, 1 to 10 (default: 3)")
      ->check(CLI::Range(1U, 10U))->type_name("N");
  add_backend(*demo, text);
  add_progress(*demo, text);
}

/// An empty variable of a script must not make the next option the value of this one, nor a default of it.
void refuse_swallowed(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& value : option->results()) {
      if (option->get_items_expected_max() == 0) {
        continue;   // a flag
      }
      if (value.empty()) {
        throw usage_error(fmt::format("{}: is empty", option->get_name()));
      }
      if (value.starts_with("--")) {
        throw usage_error(fmt::format("{}: \"{}\" looks like an option, its value is missing", option->get_name(), printable(value)),
                          "a name that begins with -- is written ./--name");
      }
    }
  }
}

std::string not_empty(const char* option, std::string value) {
  if (value.empty()) {
    throw usage_error(fmt::format("{}: is empty", option));
  }
  return value;
}

void convert(arguments& out, const raw& text) {
  if (!parse_kind(text.kind, out.backup_kind)) {
    throw usage_error(fmt::format("--kind: \"{}\" is none of full, copy, incremental, differential", printable(text.kind)));
  }
  if (out.truncate_logs && (out.backup_kind == kind::copy || out.backup_kind == kind::differential)) {
    throw usage_error(fmt::format("--truncate-logs: a backup of kind {} must not delete logs", to_string(out.backup_kind)), "--kind full");
  }
  if (!io::parse_backend(text.backend, out.backend)) {
    throw usage_error(fmt::format("--io-backend: \"{}\" is none of auto, uring, iocp, threads", printable(text.backend)));
  }
  if (text.progress == "always") {
    out.progress = progress_mode::always;
  } else if (text.progress == "never") {
    out.progress = progress_mode::never;
  } else if (text.progress != "auto") {
    throw usage_error(fmt::format("--progress: \"{}\" is none of auto, always, never", printable(text.progress)));
  }
  const std::uint64_t memory = parse_size("--memory", text.memory);
  if (memory < least_memory || memory > std::numeric_limits<std::size_t>::max() / 2) {
    throw usage_error(fmt::format("--memory: {} is out of range", text.memory), "at least 1M");
  }
  out.memory = static_cast<std::size_t>(memory);
  out.rate_limit = parse_limit("--rate-limit", text.rate_limit);
  out.max_pin_age = parse_age("--max-pin-age", text.max_pin_age);
  if (!text.max_log_growth.empty()) {
    out.max_log_growth = parse_limit("--max-log-growth", text.max_log_growth);
  }
  if (out.what == command::backup || out.what == command::list || out.what == command::verify || out.what == command::restore) {
    out.repository = io::to_path(not_empty(out.what == command::backup ? "--to" : "repository", text.repository));
  }
  if (out.what == command::restore) {
    out.into = io::to_path(not_empty("--into", text.into));
  }
  if (out.set.empty()) {
    out.set = out.what == command::verify ? "all" : "latest";
  }
  if (out.what == command::restore && out.set == "all") {
    throw usage_error("--set: restore puts one set back: give its id, or latest");
  }
  out.scratch = io::to_path(text.scratch);
  out.directory = io::to_path(text.directory);
  if (out.seconds == 0) {
    out.seconds = 3;
  }
}

/// The command that was given; below others, the innermost.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* out = &app;
  while (!out->get_subcommands().empty()) {
    out = out->get_subcommands().front();
  }
  return *out;
}

command which(const CLI::App& app) {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "backup") {
    return command::backup;
  }
  if (name == "list") {
    return command::list;
  }
  if (name == "verify") {
    return command::verify;
  }
  if (name == "restore") {
    return command::restore;
  }
  if (name == "pagestore") {
    return command::pagestore;
  }
  return name == "demo" ? command::demo : command::info;
}

}  // namespace

bool wants_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") != end;
}

std::optional<arguments> parse(const std::vector<std::string>& words, std::string& text) {
  CLI::App app("Online backups of databases that are in use.", "contrail");
  app.allow_windows_style_options(false);   // "/backup" is a directory on every system
  arguments out;
  raw given;
  define(app, out, given);
  // CLI11 takes them from the back.
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    // With the command's own name in the usage line: CLI11 forgets it.
    const auto chosen = app.get_subcommands();
    text = chosen.empty() ? app.help() : chosen.front()->help("contrail");
    return std::nullopt;
  } catch (const CLI::CallForVersion& e) {
    text = fmt::format("{}\n", e.what());
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    // CLI11 would only say that a subcommand is missing.
    if (app.get_subcommands().empty() && !words.empty() && words.front().rfind('-', 0) != 0) {
      throw usage_error(fmt::format("there is no command \"{}\"", printable(words.front())),
                        "commands: backup, list, verify, restore, info, pagestore, demo");
    }
    if (words.size() > 1 && words[0] == "pagestore" && words[1].rfind('-', 0) != 0 && innermost(app).get_name() == words[0]) {
      throw usage_error(fmt::format("there is no command \"pagestore {}\"", printable(words[1])), "commands: create, info, check, bench");
    }
    throw usage_error(e.what(), "contrail --help, or contrail COMMAND --help");
  }
  out.what = which(app);
  const CLI::App& chosen = innermost(app);
  refuse_swallowed(chosen);
  convert(out, given);
  if (out.what == command::pagestore) {
    convert_store(chosen.get_name(), given.store, out.store);
  }
  return out;
}

}  // namespace contrail::cli
