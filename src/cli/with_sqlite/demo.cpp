#include "cli/bank.hpp"
#include "cli/commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <system_error>
#include <thread>
#include <vector>

#include <stdlib.h>

namespace contrail::cli {

namespace {

namespace fs = std::filesystem;

/// A new directory, removed at the end unless it is to be kept.
class demo_directory {
 public:
  demo_directory(const fs::path& below, bool keep) : keep_(keep) {
    std::string pattern = ((below.empty() ? fs::temp_directory_path() : below) / "contrail-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      fail(std::error_code(errno, std::system_category()), "make a directory for the demo", pattern);
    }
    path_ = pattern;
  }
  demo_directory(const demo_directory&) = delete;
  demo_directory& operator=(const demo_directory&) = delete;
  ~demo_directory() {
    std::error_code ignored;
    if (!keep_) {
      fs::remove_all(path_, ignored);
    }
  }
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
  bool keep_;
};

/// The one restorer that the demo needs.
class only_sqlite final : public restorer_registry {
 public:
  explicit only_sqlite(restorer& one) : one_(one) {}
  restorer* find(std::string_view engine) override { return engine == one_.engine() ? &one_ : nullptr; }

 private:
  restorer& one_;
};

std::uint64_t sum(const std::vector<std::uint64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
}

/// Waits for the writers, and keeps an ear on signals.
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

/// What any copying tool does, no faster than `bytes_per_second`; of the length at the start, for a log under writers has no end.
void copy_plainly(const fs::path& from, const fs::path& to, std::uint64_t bytes_per_second, runner& loop) {
  std::uint64_t left = fs::file_size(from);
  std::ifstream in(from, std::ios::binary);
  std::ofstream out(to, std::ios::binary);
  std::vector<char> piece(std::size_t{64} << 10);
  auto due = std::chrono::steady_clock::now();
  while (left > 0) {
    loop.check_signals();
    const auto wanted = static_cast<std::streamsize>(std::min<std::uint64_t>(left, piece.size()));
    in.read(piece.data(), wanted);
    if (in.gcount() == 0) {
      break;   // shorter by now
    }
    out.write(piece.data(), in.gcount());
    left -= static_cast<std::uint64_t>(in.gcount());
    due += std::chrono::microseconds(static_cast<std::uint64_t>(in.gcount()) * 1000000 / bytes_per_second);
    std::this_thread::sleep_until(due);
  }
  if (!out.flush()) {
    fail(make_error_code(std::errc::io_error), "copy a file for the demo", to.string());
  }
}

/// Nothing that was acknowledged before the backup may be missing, nothing may be there that came after it.
std::string judge(const bank::findings& found, const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after) {
  if (!found.sound) {
    return found.problem;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (found.last[i] < before[i]) {
      return fmt::format("writer {} had {} transactions acknowledged before the backup, {} are there", i, before[i], found.last[i]);
    }
    // One may have been committed whose acknowledgement was still under way.
    if (found.last[i] > after[i] + 1) {
      return fmt::format("writer {} had {} transactions at the end of the backup, {} are there", i, after[i], found.last[i]);
    }
  }
  return {};
}

}  // namespace

int run_demo(const arguments& given, console& out, runner& loop) {
  const demo_directory place(given.directory, given.keep);
  const fs::path database = place.path() / "bank.db";
  out.print(fmt::format("1. A bank in a SQLite database: {}\n", printable(database.string())));
  bank::create_options size;
  size.accounts = 20000;
  bank::create(database, size);
  loop.check_signals();

  out.print("2. Two tellers in another process transfer money and never stop\n");
  bank::writer_options pace;
  pace.transfers = 1;
  pace.pause = std::chrono::milliseconds(20);
  bank::writers writers(database, pace);   // forks: before the I/O backend has threads
  wait_for_transactions(writers, 20, loop);

  const io::file_system files = open_file_system(given, loop);
  const std::uint64_t bytes = fs::file_size(database);
  const std::uint64_t rate = std::max<std::uint64_t>(bytes / given.seconds, 1);
  out.print(fmt::format("3. contrail backup, slowed down to {}/s so that a lot happens meanwhile ({})\n", show_bytes(rate),
                        to_string(files.info().kind)));
  directory_repository repository(files, place.path() / "repository");
  progress counters;
  backup_options how;
  how.rate_limit = rate;
  how.progress = &counters;
  const std::vector<std::uint64_t> before = writers.acknowledged();
  backup_report made;
  {
    sqlite_engine engine(files, database);
    made = loop.run(backup(engine, repository, how), watched("   backup", counters, false));
  }
  const std::vector<std::uint64_t> after = writers.acknowledged();
  out.print(fmt::format("   set {}: {} in {}; {} transactions were committed meanwhile\n", made.set, show_bytes(made.bytes),
                        show_seconds(made.seconds), sum(after) - sum(before)));

  out.print("4. contrail verify --prove: every byte is checked, the set is recovered and SQLite checks the result\n");
  sqlite_restorer with(files);
  only_sqlite provers(with);
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

  out.print("5. contrail restore\n");
  progress restored;
  restore_options options;
  options.progress = &restored;
  options.files = &files;
  const restore_report back =
      loop.run(restore(repository, with, place.path() / "restored", options), watched("   restore", restored, false));
  const bank::findings found = bank::check(back.directory / "bank.db");
  const std::string problem = judge(found, before, after);
  if (problem.empty()) {
    out.print(fmt::format("   the restored bank is right: {} transactions, none acknowledged before the backup is missing,\n"
                          "   and every balance follows from them\n",
                          found.transactions));
  } else {
    out.print(fmt::format("   the restored bank is WRONG: {}\n", printable(problem)));
  }
  loop.check_signals();

  out.print("6. For comparison a plain copy of the files, at the same pace\n");
  const fs::path copied = place.path() / "copied";
  fs::create_directory(copied);
  copy_plainly(database, copied / "bank.db", rate, loop);
  copy_plainly(place.path() / "bank.db-wal", copied / "bank.db-wal", rate, loop);
  const bank::findings plain = bank::check(copied / "bank.db");
  out.print(plain.sound ? "   lucky: this time it can be used\n" : fmt::format("   broken: {}\n", printable(plain.problem)));
  loop.check_signals();

  writers.stop();
  if (given.keep) {
    out.print(fmt::format("Everything is left in {}\n", printable(place.path().string())));
  }
  return proven && problem.empty() ? exit_status::done : exit_status::failed;
}

}  // namespace contrail::cli
