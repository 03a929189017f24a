#include "cli/pagestore/store_arguments.hpp"

#include "cli/failure.hpp"
#include "cli/pagestore/bank_store.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace contrail::cli {

namespace {

constexpr unsigned longest_bench = 86400, most_backups = 10000;

constexpr const char* store_footer = R"(A pagestore is a directory with databases, logs and a checkpoint; one process has it open at a time. "contrail backup pagestore:DIR" backs
it up.

Examples:
  contrail pagestore create /srv/bank
  contrail pagestore bench /srv/bank --backup-to /backup/bank --backups 3
  contrail pagestore check /srv/bank

Exit status: 0 done; 1 failed; 2 wrong usage; 3 damage found, by check; 130 SIGINT, 143 SIGTERM.)";

constexpr const char* create_footer = R"(Makes a store with a bank in it, for bench and check to work on: accounts in several databases, and money that transfers move and never make.
The directory must be empty; it is made when missing, the one above it must exist.

Examples:
  contrail pagestore create /srv/bank
  contrail pagestore create /srv/bank --databases 6 --accounts 1000000

Exit status: 0 the bank is there, and durable; 1 failed, nothing was left behind; 2 wrong usage;
130 SIGINT, 143 SIGTERM, nothing was left behind.)";

constexpr const char* info_footer = R"(Reads headers only and changes nothing. What a process has open may change meanwhile. Databases are those below the directory, and those that
the checkpoint and the newest log's header list. One that lies elsewhere and was made or attached after them is known when a crash was
recovered: by check, by a backup, or by the program that opens the store.

Examples:
  contrail pagestore info /srv/bank
  contrail pagestore info /srv/bank --json

Exit status: 0 done; 1 failed, or no store is there; 2 wrong usage.)";

constexpr const char* check_footer = R"(Opens the store, which recovers what a crash has left, audits the bank, ends the store cleanly, and reads every page and every log. A directory
without logs, as a restore leaves it, gets its first ones. A store without a bank: pages and logs are checked.

Examples:
  contrail pagestore check /srv/bank
  contrail pagestore check /srv/restored --json

Exit status: 0 good; 3 damaged; 1 it could not be checked: no store, a process has it open; 2 wrong usage; 130 SIGINT, 143 SIGTERM.)";

constexpr const char* bench_footer = R"(Each writer moves money between two accounts, mostly of two databases, notes its transaction's number, and waits until that is durable. A
transaction that meets another one at a page is tried again, and counted. With --backup-to the store is backed up in the same
process when the time is over, while the writers go on.

With --acks standard output has a line "writer sequence" for each durable transaction and nothing else; the report goes to standard error.

Examples:
  contrail pagestore bench /srv/bank --writers 64 --seconds 10
  contrail pagestore bench /srv/bank --backup-to /backup/bank --backups 6 --kinds full,incremental,incremental --json

Exit status: 0 done; 1 failed; 2 wrong usage; 130 SIGINT, 143 SIGTERM: the store was ended cleanly.)";

CLI::App* add_command(CLI::App& app, const char* name, const char* description, const char* footer, store_texts& text) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer(footer);
  command->add_option("directory", text.directory, "Directory of the store")->required()->type_name("");
  return command;
}

std::vector<kind> parse_kinds(std::string_view text) {
  std::vector<kind> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    kind one = kind::full;
    if (!parse_kind(text.substr(begin, end - begin), one)) {
      throw usage_error(fmt::format("--kinds: \"{}\" is none of full, copy, incremental, differential",
                                    printable(text.substr(begin, end - begin))));
    }
    out.push_back(one);
    begin = end + 1;
  }
  return out;
}

void define_bench(CLI::App& bench, store_arguments& out, store_texts& text) {
  bench.add_option("--writers", out.writers, "Writers, 1 to 256 (default: 8)")->check(CLI::Range(1U, store_bank::most_writers))->type_name("N");
  bench.add_option("--seconds", out.seconds, "How long, 1 to 86400; with backups: before them (default: 5)")
      ->check(CLI::Range(1U, longest_bench))
      ->type_name("N");
  bench.add_flag("--acks", out.acks, "A line \"writer sequence\" on standard output when that transaction is durable");
  bench.add_flag("--circular", out.circular, "Circular logging: logs that nobody needs are deleted; incremental backups are refused");
  CLI::Option* to = bench.add_option("--backup-to", text.repository, "Repository: back up into it, while the writers go on")->type_name("DIR");
  bench.add_option("--backups", out.backups, "How many, 1 to 10000 (default: 1)")->check(CLI::Range(1U, most_backups))->needs(to)->type_name("N");
  bench.add_option("--kinds", text.kinds, "full, copy, incremental, differential: a list that is begun anew at its end (default: full)")
      ->needs(to)
      ->type_name("LIST");
  bench.add_flag("--truncate-logs", out.truncate_logs, "Full and incremental backups delete the logs that are not needed after them")->needs(to);
  bench.add_option("--rate-limit", text.rate_limit, "Bytes a second of a backup (default: none)")->needs(to)->type_name("SIZE");
}

}  // namespace

std::vector<CLI::App*> define_store(CLI::App& app, store_arguments& out, store_texts& text) {
  CLI::App* store = app.add_subcommand("pagestore", "Make, look at, check and load a pagestore");
  store->footer(store_footer);
  store->require_subcommand(1);
  CLI::App* create = add_command(*store, "create", "Make a store with a bank in it", create_footer, text);
  create->add_option("--databases", out.databases, "Databases that the bank is spread over, 1 to 6 (default: 3)")
      ->check(CLI::Range(1U, pagestore::most_databases))
      ->type_name("K");
  create->add_option("--accounts", out.accounts, "Accounts, 2 to 100000000, of 256 bytes each (default: 30000)")
      ->check(CLI::Range(std::uint64_t{2}, store_bank::most_accounts))
      ->type_name("N");
  CLI::App* info = add_command(*store, "info", "Tell headers, logs, checkpoint, and backups that the databases remember", info_footer, text);
  CLI::App* check = add_command(*store, "check", "Check every page, every log, and the bank", check_footer, text);
  CLI::App* bench = add_command(*store, "bench", "Transfer money, and tell how fast; also while backups run", bench_footer, text);
  define_bench(*bench, out, text);
  return {create, info, check, bench};
}

void convert_store(const std::string& name, const store_texts& text, store_arguments& out) {
  out.what = name == "create" ? store_command::create
             : name == "check" ? store_command::check
             : name == "bench" ? store_command::bench
                               : store_command::info;
  out.directory = io::to_path(text.directory);
  out.repository = io::to_path(text.repository);
  out.kinds = parse_kinds(text.kinds);
  out.rate_limit = parse_limit("--rate-limit", text.rate_limit);
}

}  // namespace contrail::cli
