#include "cli/arguments.hpp"

#include "cli/failure.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::cli;
using Catch::Matchers::Contains;

namespace {

arguments parsed(const std::vector<std::string>& words) {
  std::string text;
  const auto out = parse(words, text);
  REQUIRE(out);
  REQUIRE(text.empty());
  return *out;
}

std::string refused(const std::vector<std::string>& words) {
  std::string text;
  try {
    parse(words, text);
  } catch (const usage_error& e) {
    return e.what();
  }
  FAIL("was accepted");
  return {};
}

std::string help(const std::vector<std::string>& words) {
  std::string text;
  REQUIRE_FALSE(parse(words, text));
  return text;
}

}  // namespace

TEST_CASE("cli_arguments: defaults of a backup", "[cli_arguments]") {
  const arguments got = parsed({"backup", "sqlite:app.db", "--to", "repo"});
  CHECK(got.what == command::backup);
  CHECK(got.source == "sqlite:app.db");
  CHECK(got.repository == "repo");
  CHECK(got.backup_kind == contrail::kind::full);
  CHECK(got.memory == 64u << 20);
  CHECK(got.rate_limit == 0);
  CHECK(got.max_pin_age == std::chrono::hours(1));
  CHECK_FALSE(got.max_log_growth);
  CHECK(got.backend == contrail::io::backend_kind::automatic);
  CHECK(got.progress == progress_mode::automatic);
  CHECK_FALSE(got.as_json);
}

TEST_CASE("cli_arguments: every option of a backup", "[cli_arguments]") {
  const arguments got =
      parsed({"backup", "--json", "--kind", "copy", "--rate-limit=100M", "--memory", "32M", "--io-backend", "threads", "--progress", "never",
              "--max-pin-age", "2h", "--max-log-growth", "1G", "sqlite:app.db", "--to=repo"});
  CHECK(got.backup_kind == contrail::kind::copy);
  CHECK(got.rate_limit == 100u << 20);
  CHECK(got.memory == 32u << 20);
  CHECK(got.backend == contrail::io::backend_kind::threads);
  CHECK(got.progress == progress_mode::never);
  CHECK(got.max_pin_age == std::chrono::hours(2));
  CHECK(got.max_log_growth == std::uint64_t{1} << 30);
  CHECK(got.as_json);
  CHECK_FALSE(got.truncate_logs);
  CHECK(parsed({"backup", "pagestore:a", "--to", "r", "--truncate-logs"}).truncate_logs);
  CHECK(parsed({"backup", "sqlite:a", "--to", "r", "--max-log-growth", "none"}).max_log_growth == std::uint64_t{0});
  CHECK(parsed({"backup", "sqlite:a", "--to", "r", "--kind", "incremental"}).backup_kind == contrail::kind::incremental);
  CHECK(parsed({"backup", "sqlite:a", "--to", "r", "--kind", "differential"}).backup_kind == contrail::kind::differential);
}

TEST_CASE("cli_arguments: the other commands", "[cli_arguments]") {
  CHECK(parsed({"verify", "repo"}).set == "all");
  CHECK(parsed({"verify", "repo", "--set", "latest"}).set == "latest");
  const arguments proof = parsed({"verify", "repo", "--prove", "--scratch", "/var/tmp"});
  CHECK(proof.prove);
  CHECK(proof.scratch == "/var/tmp");
  const arguments back = parsed({"restore", "repo", "--into", "dir", "--force"});
  CHECK(back.what == command::restore);
  CHECK(back.set == "latest");
  CHECK(back.into == "dir");
  CHECK(back.force);
  CHECK(parsed({"list", "repo", "--json"}).as_json);
  CHECK(parsed({"info"}).what == command::info);
  CHECK(parsed({"demo", "--seconds", "2", "--keep"}).seconds == 2);
}

TEST_CASE("cli_arguments: the commands of a pagestore", "[cli_arguments]") {
  const arguments made = parsed({"pagestore", "create", "bank"});
  CHECK(made.what == command::pagestore);
  CHECK(made.store.what == store_command::create);
  CHECK(made.store.directory == "bank");
  CHECK(made.store.databases == 3);
  CHECK(made.store.accounts == 30000);
  CHECK(parsed({"pagestore", "create", "bank", "--databases", "6", "--accounts", "9"}).store.accounts == 9);
  CHECK(parsed({"pagestore", "info", "bank", "--json"}).store.what == store_command::info);
  CHECK(parsed({"pagestore", "check", "bank", "--json"}).as_json);
  const arguments plain = parsed({"pagestore", "bench", "bank"});
  CHECK(plain.store.what == store_command::bench);
  CHECK(plain.store.writers == 8);
  CHECK(plain.store.seconds == 5);
  CHECK(plain.store.repository.empty());
  CHECK_FALSE(plain.store.acks);
  const arguments full = parsed({"pagestore", "bench", "bank", "--writers", "256", "--seconds", "2", "--acks", "--circular", "--backup-to", "repo",
                                 "--backups", "7", "--kinds", "full,copy", "--truncate-logs", "--rate-limit", "3M", "--io-backend", "threads"});
  CHECK(full.store.writers == 256);
  CHECK(full.store.acks);
  CHECK(full.store.circular);
  CHECK(full.store.repository == "repo");
  CHECK(full.store.backups == 7);
  CHECK(full.store.kinds == std::vector<contrail::kind>{contrail::kind::full, contrail::kind::copy});
  CHECK(full.store.truncate_logs);
  CHECK(full.store.rate_limit == 3u << 20);
  CHECK(full.backend == contrail::io::backend_kind::threads);
}

TEST_CASE("cli_arguments: what is wrong is named", "[cli_arguments]") {
  CHECK_THAT(refused({}), Contains("subcommand"));
  CHECK_THAT(refused({"frobnicate"}), Contains("frobnicate"));
  CHECK_THAT(refused({"backup"}), Contains("required"));
  CHECK_THAT(refused({"backup", "sqlite:a"}), Contains("--to"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to"}), Contains("--to"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", ""}), Contains("--to"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--frob"}), Contains("--frob"));
  CHECK_THAT(refused({"backup", "sqlite:a", "b", "--to", "r"}), Contains("b"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--to", "s"}), Contains("--to"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--kind", "partial"}), Contains("--kind"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--memory", "0"}), Contains("--memory"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--memory", "1023K"}), Contains("--memory"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--memory", "-1"}), Contains("--memory"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--rate-limit", "fast"}), Contains("--rate-limit"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--max-pin-age", "60"}), Contains("unit is missing"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--io-backend", "floppy"}), Contains("--io-backend"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "r", "--progress", "maybe"}), Contains("--progress"));
  for (const std::string kind : {"copy", "differential"}) {
    CHECK_THAT(refused({"backup", "pagestore:a", "--to", "r", "--truncate-logs", "--kind", kind}), Contains("--truncate-logs") && Contains(kind));
  }
  CHECK_THAT(refused({"verify"}), Contains("repository"));
  CHECK_THAT(refused({"verify", "repo", "--scratch", "/tmp"}), Contains("--prove"));
  CHECK_THAT(refused({"restore", "repo"}), Contains("--into"));
  CHECK_THAT(refused({"restore", "repo", "--into", ""}), Contains("--into"));
  CHECK_THAT(refused({"restore", "repo", "--into", "d", "--set", "all"}), Contains("--set"));
  // An empty variable of a script: neither a default nor the next option.
  CHECK_THAT(refused({"backup", "sqlite:a", "--to=", "--json"}), Contains("--to"));
  CHECK_THAT(refused({"backup", "sqlite:a", "--to", "--json"}), Contains("--to"));
  CHECK_THAT(refused({"restore", "repo", "--into=", "--force"}), Contains("--into"));
  CHECK_THAT(refused({"restore", "repo", "--into", "d", "--set", ""}), Contains("--set"));
  CHECK_THAT(refused({"verify", "repo", "--set", ""}), Contains("--set"));
  CHECK_THAT(refused({"list", "a", "b"}), Contains("b"));
  CHECK_THAT(refused({"demo", "--seconds", "100"}), Contains("--seconds"));
}

TEST_CASE("cli_arguments: help tells examples, units, defaults and exit statuses", "[cli_arguments]") {
  const std::string program = help({"--help"});
  for (const std::string word : {"backup", "list", "verify", "restore", "info", "pagestore", "demo", "Exit status", "powers of 1024", "--version"}) {
    INFO(word);
    CHECK_THAT(program, Contains(word));
  }
  for (const std::string command : {"backup", "list", "verify", "restore", "info", "pagestore", "demo"}) {
    INFO(command);
    const std::string text = help({command, "--help"});
    CHECK_THAT(text, Contains("Exit status"));
    CHECK_THAT(text, Contains("contrail " + command));
    CHECK(help({command, "-h"}) == text);
  }
  const std::string backup = help({"backup", "--help"});
  for (const std::string option : {"--to", "--kind", "--rate-limit", "--memory", "--io-backend", "--progress", "--max-pin-age", "--max-log-growth",
                                   "--truncate-logs", "--json", "default: 64M", "default: 1h"}) {
    INFO(option);
    CHECK_THAT(backup, Contains(option));
  }
  CHECK_THAT(help({"--version"}), Catch::Matchers::Matches("contrail [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_CASE("cli_arguments: --json is seen before the line is understood", "[cli_arguments]") {
  CHECK(wants_json({"backup", "--frob", "--json"}));
  CHECK_FALSE(wants_json({"backup", "--frob"}));
  CHECK_FALSE(wants_json({"backup", "--", "--json"}));
}

TEST_CASE("cli_arguments: which failures mean damage", "[cli_arguments]") {
  const auto status = [](contrail::errc e, activity doing) {
    try {
      contrail::fail(e, "read");
    } catch (...) {
      return describe(std::current_exception(), doing).exit;
    }
    return -1;
  };
  CHECK(status(contrail::errc::set_damaged, activity::reads_sets) == 3);
  CHECK(status(contrail::errc::set_incomplete, activity::reads_sets) == 3);
  CHECK(status(contrail::errc::log_file_corrupt, activity::reads_sets) == 3);
  CHECK(status(contrail::errc::ending_restore_log_too_low, activity::reads_sets) == 3);
  CHECK(status(contrail::errc::missing_full_backup, activity::reads_sets) == 3);
  CHECK(status(contrail::errc::missing_full_backup, activity::other) == 1);
  CHECK(status(contrail::errc::set_exists, activity::reads_sets) == 1);
  CHECK(status(contrail::errc::format_unknown, activity::reads_sets) == 1);
  CHECK(status(contrail::errc::set_not_found, activity::reads_sets) == 1);
  CHECK(status(contrail::errc::read_verify_failure, activity::other) == 1);
  CHECK(status(contrail::errc::feature_not_built, activity::other) == 1);
}

TEST_CASE("cli_arguments: a failure carries what is known", "[cli_arguments]") {
  failure got;
  try {
    contrail::fail(contrail::errc::set_damaged, "read the set", "app.db", 4096, "aa", "bb");
  } catch (...) {
    got = describe(std::current_exception(), activity::reads_sets);
  }
  CHECK(got.code == -20010);
  CHECK(got.name == "set_damaged");
  CHECK(got.operation == "read the set");
  CHECK(got.file == "app.db");
  CHECK(got.offset == std::uint64_t{4096});
  try {
    throw interrupted(15);
  } catch (...) {
    got = describe(std::current_exception(), activity::other);
  }
  CHECK(got.exit == 143);
  CHECK(got.name == "interrupted");
  CHECK_THAT(got.message, Contains("SIGTERM"));
  try {
    throw usage_error("wrong", "do it so", contrail::errc::unknown_scheme);
  } catch (...) {
    got = describe(std::current_exception(), activity::other);
  }
  CHECK(got.exit == 2);
  CHECK(got.code == -20021);
  CHECK(got.name == "unknown_scheme");
  CHECK(got.hint == "do it so");
}
