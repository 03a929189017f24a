#include "cli/pagestore/store_commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

namespace contrail::cli {

namespace {

namespace fs = std::filesystem;

/// The files of a store that is being made, by name: what a failure takes away again.
class unfinished {
 public:
  explicit unfinished(fs::path directory) : directory_(std::move(directory)), was_there_(fs::exists(fs::symlink_status(directory_))) {}

  void refuse_occupied() const;
  /// Another process may have been faster, as long as nobody held the store's lock.
  void refuse_foreign(const std::vector<std::string>& databases) const;
  void remove(const pagestore::parameters& how, const std::vector<std::string>& databases) const;

 private:
  fs::path directory_;
  bool was_there_;
};

void unfinished::refuse_occupied() const {
  std::error_code ec;
  const fs::directory_iterator there(directory_, ec);
  if (!was_there_) {
    return;
  }
  if (ec) {
    fail(ec, "make a store", io::to_text(directory_), {}, "an empty directory, or none");
  }
  if (there == fs::directory_iterator()) {
    return;
  }
  for (const auto& entry : fs::directory_iterator(directory_, ec)) {
    if (entry.path().extension() == ".chk" || entry.path().extension() == ".log") {
      fail(make_error_code(std::errc::file_exists), "make a store", io::to_text(directory_), {}, "an empty directory, or none",
           "a store is there already");
    }
  }
  fail(make_error_code(std::errc::directory_not_empty), "make a store", io::to_text(directory_), {}, "an empty directory, or none",
       fmt::format("{} is in it", printable(io::to_text(there->path().filename()))));
}

void unfinished::refuse_foreign(const std::vector<std::string>& databases) const {
  for (const std::string& name : databases) {
    std::error_code ec;
    if (fs::exists(fs::symlink_status(directory_ / io::to_path(name), ec))) {
      fail(make_error_code(std::errc::file_exists), "make a store", io::to_text(directory_ / io::to_path(name)), {}, "an empty directory, or none",
           "somebody else has just made a store there");
    }
  }
}

void unfinished::remove(const pagestore::parameters& how, const std::vector<std::string>& databases) const {
  std::error_code ignored;
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(directory_, ignored)) {
    const std::string name = io::to_text(entry.path().filename());
    const bool database = std::any_of(databases.begin(), databases.end(),
                                      [&name](const std::string& one) { return name == one || name == one + ".creating"; });
    if (database || name.starts_with(how.base_name)) {
      ours.push_back(entry.path());
    }
  }
  for (const fs::path& one : ours) {
    fs::remove(one, ignored);
  }
  if (!was_there_) {
    fs::remove(directory_, ignored);
  }
}

asio::awaitable<void> fill(pagestore::instance* in, std::vector<std::string> names, std::uint64_t accounts) {
  std::vector<store::member> members;
  for (const std::string& name : names) {
    const fs::path path = io::to_path(name);
    const pagestore::database made = co_await in->create(path);
    members.emplace_back(name, made);
  }
  co_await store_bank::create(in, members, accounts);
  co_await in->terminate();
}

json to_json(const store_arguments& given, const created_bank& made, double seconds) {
  json out = json_object();
  out["directory"] = io::to_text(given.directory);
  out["databases"] = made.databases;
  out["accounts"] = given.accounts;
  out["expected_total"] = made.expected_total;
  out["seconds"] = seconds;
  return out;
}

}  // namespace

asio::awaitable<created_bank> create_bank(io::file_system files, fs::path directory, unsigned databases, std::uint64_t accounts) {
  const auto ex = co_await asio::this_coro::executor;
  created_bank out;
  out.expected_total = static_cast<std::int64_t>(accounts) * store_bank::opening_balance;
  for (unsigned i = 1; i <= databases; ++i) {
    out.databases.push_back(fmt::format("bank{}.db", i));
  }
  while (!directory.has_filename() && directory.has_relative_path()) {
    directory = directory.parent_path();   // "dir/" is "dir"
  }
  pagestore::parameters how;
  how.directory = directory;
  const unfinished place(directory);
  place.refuse_occupied();
  pagestore::instance running;
  std::exception_ptr failed;
  bool ours = false;
  try {
    running = co_await pagestore::instance::open(ex, how, &files);
    place.refuse_foreign(out.databases);
    ours = true;
    const std::vector<std::string> names = out.databases;
    co_await fill(&running, names, accounts);
  } catch (...) {
    failed = std::current_exception();
  }
  if (!failed) {
    co_return out;
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  // What is not ours is left as it was found.
  const pagestore::term_mode end = ours ? pagestore::term_mode::dirty : pagestore::term_mode::complete;
  try {
    co_await running.terminate(end);
  } catch (...) {
    // What kept it from being made is what matters.
  }
  if (ours) {
    place.remove(how, out.databases);
  }
  std::rethrow_exception(failed);
}

int run_store_create(const store_arguments& given, io::file_system files, console& out, runner& loop) {
  const auto begun = std::chrono::steady_clock::now();
  const created_bank made = loop.run(create_bank(files, given.directory, given.databases, given.accounts));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  try {
    if (out.as_json()) {
      out.print_json(to_json(given, made, seconds));
    } else {
      out.print(fmt::format("a bank of {} in {}, {} in all, made in {} in {}\n", show_count(given.accounts, "account", "accounts"),
                            show_count(made.databases.size(), "database", "databases"), made.expected_total,
                            printable(io::to_text(given.directory)), show_seconds(seconds)));
    }
  } catch (const error&) {
    out.note("the bank is there, only the report could not be written");
    throw;
  }
  return exit_status::done;
}

}  // namespace contrail::cli
