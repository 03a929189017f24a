#include "cli/pagestore/store_commands.hpp"
#include "cli/quantities.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <tuple>
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
  /// Is there nothing but what opening a store begins with?
  bool is_only_begun(const pagestore::parameters& how) const;
  /// Leaves everything where somebody has opened it by now.
  asio::awaitable<void> remove(io::file_system files, pagestore::parameters how, std::vector<std::string> databases) const;

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

bool unfinished::is_only_begun(const pagestore::parameters& how) const {
  std::error_code ignored;
  const fs::directory_iterator there(directory_, ignored);
  return std::all_of(fs::begin(there), fs::end(there),
                     [&how](const fs::directory_entry& one) { return io::to_text(one.path().filename()).starts_with(how.base_name); });
}

asio::awaitable<void> unfinished::remove(io::file_system files, pagestore::parameters how, std::vector<std::string> databases) const {
  const fs::path lock = directory_ / io::to_path(how.base_name + ".lock");
  auto result = co_await files.async_lock(lock, asio::experimental::as_tuple(asio::use_awaitable));
  const std::error_code held = std::get<0>(result);
  if (held == std::errc::resource_unavailable_try_again) {
    co_return;
  }
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
    if (one != lock) {
      fs::remove(one, ignored);
    }
  }
  std::get<1>(result).release();   // one that is open cannot be removed everywhere
  fs::remove(lock, ignored);
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

/// Was it refused because somebody has the store open?
bool is_in_use(const std::exception_ptr& failed) {
  try {
    std::rethrow_exception(failed);
  } catch (const error& e) {
    return e.code() == errc::file_access_denied;
  } catch (...) {
    return false;
  }
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
  bool opened = false, ours = false;
  try {
    running = co_await pagestore::instance::open(ex, how, &files);
    opened = true;
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
  if (!opened) {
    ours = !is_in_use(failed) && place.is_only_begun(how);   // a full disk, say
  }
  if (ours) {
    const std::vector<std::string> names = out.databases;
    co_await place.remove(files, how, names);
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
