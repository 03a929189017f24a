#include "cli/bank.hpp"
#include "cli/commands.hpp"
#include "cli/demo_directory.hpp"
#include "cli/pagestore/demo_store.hpp"
#include "cli/quantities.hpp"
#include "cli/with_sqlite/demo_parts.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

namespace contrail::cli {

namespace {

namespace fs = std::filesystem;

/// The tellers alone, to compare with; signals are seen.
constexpr std::chrono::seconds alone(2);

void wait_for_transactions(const bank::writers& writers, std::uint64_t each, runner& loop) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (;;) {
    loop.check_signals();
    const std::vector<std::uint64_t> now = writers.acknowledged();
    if (std::all_of(now.begin(), now.end(), [each](std::uint64_t n) { return n >= each; })) {
      return;
    }
    if (std::chrono::steady_clock::now() > until) {
      fail(make_error_code(std::errc::timed_out), "wait for the demo's writers");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void let_time_pass(std::chrono::seconds time, runner& loop) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
    loop.check_signals();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

std::optional<int> serve_demo() { return bank::serve_writers(); }

int run_demo(const arguments& given, console& out, runner& loop) {
  const demo_directory place(given.directory, given.keep);
  const fs::path database = place.path() / "bank.db";
  bank::create_options size;
  size.accounts = 50000;
  out.print(fmt::format("1. A bank of {} accounts in a SQLite database: {}\n", size.accounts, printable(database.string())));
  bank::create(database, size);
  loop.check_signals();

  out.print("2. Two tellers in another process transfer money and never stop\n");
  bank::writer_options tellers;
  tellers.transfers = 1;
  tellers.pause = std::chrono::milliseconds(20);
  bank::writers writers(database, tellers);   // forks: before the I/O backend has threads
  wait_for_transactions(writers, 20, loop);   // the log has been merged and begun anew: the file has its size
  writers.lap();
  let_time_pass(alone, loop);
  const bank::pace undisturbed = writers.lap();

  const io::file_system files = open_file_system(given, loop);
  const std::uint64_t rate = std::max<std::uint64_t>(fs::file_size(database) / given.seconds, 1);
  out.print(fmt::format("3. contrail backup, slowed down to {}/s so that a lot happens meanwhile ({})\n", show_bytes(rate),
                        to_string(files.info().kind)));
  directory_repository repository(files, place.path() / "repository");
  progress counters;
  backup_options how;
  how.rate_limit = rate;
  how.progress = &counters;
  demo_copy whole;
  const std::vector<std::uint64_t> before = writers.acknowledged();
  writers.lap();
  {
    sqlite_engine engine(files, database);
    const backup_report made = loop.run(backup(engine, repository, how), watched("   backup", counters, false));
    whole.bytes = made.bytes;
    whole.seconds = made.seconds;
    const bank::pace during = writers.lap();
    out.print(fmt::format("   set {}: {} in {}, {} transactions were committed meanwhile\n\n{}\n", made.set, show_bytes(made.bytes),
                          show_seconds(made.seconds), during.transactions, show_paces(undisturbed, during)));
  }
  const std::vector<std::uint64_t> after = writers.acknowledged();

  out.print("4. contrail verify --prove: every byte is checked, the set is recovered and SQLite checks the result\n");
  sqlite_restorer with(files);
  only_one provers(with);
  const fs::path scratch = place.path() / "scratch";
  fs::create_directory(scratch);
  progress verified;
  verify_options proof;
  proof.scratch = &scratch;
  proof.progress = &verified;
  proof.files = &files;
  const verify_report checked = loop.run(verify(repository, &provers, proof), watched("   verify", verified, true));
  const bool proven = checked.sets.size() == 1 && checked.sets.front().proven && checked.sets.front().damage.empty();
  out.print(proven ? "   good, proven\n" : "   NOT proven\n");

  out.print("5. contrail restore, and an audit of the restored bank\n");
  progress restored;
  restore_options options;
  options.progress = &restored;
  options.files = &files;
  const restore_report back =
      loop.run(restore(repository, with, place.path() / "restored", options), watched("   restore", restored, false));
  whole.found = bank::check(back.directory / "bank.db");
  whole.problem = judge(whole.found, before, after);
  if (whole.problem.empty()) {
    out.print(fmt::format("   the restored bank is right: {} transactions, none acknowledged before the backup is missing,\n"
                          "   and every balance follows from them\n",
                          whole.found.transactions));
  } else {
    out.print(fmt::format("   the restored bank is WRONG: {}\n", printable(whole.problem)));
  }
  loop.check_signals();

  out.print("6. For comparison a plain copy of the database and its log, at the same pace, and the same audit\n");
  const fs::path copied = place.path() / "copied";
  fs::create_directory(copied);
  progress pieces;
  demo_copy plain;
  const std::vector<std::uint64_t> plain_before = writers.acknowledged();
  const auto begun = std::chrono::steady_clock::now();
  plain.bytes = loop.run(copy_plainly(database, copied / "bank.db", rate, pieces), watched("   copy", pieces, false));
  plain.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const std::vector<std::uint64_t> plain_after = writers.acknowledged();
  plain.found = bank::check(copied / "bank.db");
  plain.problem = judge(plain.found, plain_before, plain_after);
  out.print(plain.problem.empty() ? "   lucky: this time it can be used\n"
                                  : fmt::format("   broken: {}\n", printable(plain.problem)));
  loop.check_signals();

  writers.stop();
  out.print(fmt::format("\n{}\n", show_copies(whole, plain)));

  const bool store_right = show_store(given, place.path(), files, 7, out, loop);
  if (given.keep) {
    out.print(fmt::format("\nEverything is left in {}\n", printable(place.path().string())));
  }
  return proven && whole.problem.empty() && store_right ? exit_status::done : exit_status::failed;
}

}  // namespace contrail::cli
