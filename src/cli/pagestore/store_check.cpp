#include "cli/pagestore/store_commands.hpp"
#include "cli/failure.hpp"
#include "cli/quantities.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <system_error>
#include <tuple>
#include <utility>

namespace contrail::cli {

namespace {

using pagestore::database_facts;
using pagestore::found_damage;
using pagestore::store_facts;

constexpr std::size_t most_told = 1000;

/// Does it say that something of the store is not as it was left? All that is_damage knows, and what is missing.
bool tells_damage(std::error_code ec) {
  return is_damage(ec) || ec == errc::database_dirty_shutdown || ec == errc::attached_database_mismatch || ec == errc::database_not_found;
}

/// The store's lock, where it has been open before; base names are of three characters. Fails as opening it would.
asio::awaitable<std::vector<io::held_lock>> hold_still(io::file_system files, std::filesystem::path directory) {
  std::vector<io::held_lock> out;
  std::vector<std::filesystem::path> locks;
  std::error_code ec;
  constexpr std::size_t base_characters = 3;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ec)) {
    if (entry.path().extension() == ".lock" && io::to_text(entry.path().stem()).size() == base_characters) {
      locks.push_back(entry.path());
    }
  }
  for (const std::filesystem::path& path : locks) {
    auto result = co_await files.async_lock(path, asio::experimental::as_tuple(asio::use_awaitable));
    const std::error_code held = std::get<0>(result);
    if (held == std::errc::resource_unavailable_try_again) {
      fail(errc::file_access_denied, "open instance", io::to_text(path), {}, "an instance that nobody has open", "another one holds its lock");
    }
    if (held) {
      fail(held, "open instance", io::to_text(path));
    }
    out.push_back(std::move(std::get<1>(result)));
  }
  co_return std::move(out);
}

class examiner {
 public:
  examiner(io::file_system files, std::filesystem::path directory) : files_(std::move(files)), directory_(std::move(directory)) {}

  /// Looks at the store as it is, opens it, audits the bank and ends it.
  asio::awaitable<bool> look_inside();
  /// Then: every page and every log. False when the store's headers told too little.
  asio::awaitable<bool> read_files();
  store_findings take() { return std::move(out_); }

 private:
  asio::awaitable<std::optional<store_facts>> look();
  asio::awaitable<void> open_and_audit(store_facts facts);
  asio::awaitable<void> audit(store::opened* store);
  std::function<void(const found_damage&)> teller() {
    return [this](const found_damage& d) { tell(d); };
  }
  void tell(const found_damage& d);
  void tell_problems(const store_facts& facts);
  /// Throws it when it is no damage.
  void tell(const std::exception_ptr& failed);

  io::file_system files_;
  std::filesystem::path directory_;
  store_findings out_;
};

void examiner::tell(const found_damage& d) {
  if (out_.damage.size() == most_told) {
    ++out_.more_damage;
    return;
  }
  const auto same = [&d](const found_damage& known) { return known.file == d.file && known.offset == d.offset; };
  if (std::any_of(out_.damage.begin(), out_.damage.end(), same)) {
    return;   // seen on another way
  }
  out_.damage.push_back(d);
}

void examiner::tell(const std::exception_ptr& failed) {
  try {
    std::rethrow_exception(failed);
  } catch (const error& e) {
    if (!tells_damage(e.code())) {
      throw;
    }
    found_damage d;
    d.file = e.details().file.empty() ? io::to_text(directory_) : e.details().file;
    d.offset = e.details().offset.value_or(0);
    d.what = e.what();
    tell(d);
  }
}

void examiner::tell_problems(const store_facts& facts) {
  for (const database_facts& one : facts.databases) {
    if (!one.problem.empty()) {
      found_damage d;
      d.file = io::to_text(directory_ / one.path);
      d.what = one.problem;
      tell(d);
    }
  }
}

asio::awaitable<std::optional<store_facts>> examiner::look() {
  std::exception_ptr failed;
  std::optional<store_facts> out;
  try {
    store_facts facts = co_await pagestore::inspect(files_, directory_);
    out = std::move(facts);
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed) {
    tell(failed);
  }
  co_return out;
}

asio::awaitable<void> examiner::audit(store::opened* store) {
  const std::optional<store_bank::bank> bank = co_await store_bank::find(store);
  if (!bank) {
    co_return;
  }
  out_.expected_total = bank->expected_total();
  const store_bank::bank* const of = &*bank;
  const auto damaged = teller();
  store_bank::books books = co_await store_bank::audit(&store->running, of, directory_, damaged);
  out_.total = books.total;
  out_.writers = std::move(books.writers);
}

// Between opening and ending nothing is awaited outside of the first try: an await that is cancelled on entry does nothing.
asio::awaitable<void> examiner::open_and_audit(store_facts facts) {
  std::exception_ptr failed, ending;
  store::opened running;
  store::open_options options;
  options.readable_only = true;   // what is wrong with the others is told
  try {
    running = co_await store::open(files_, facts, options);
    out_.opened = true;
    store::opened* const store = &running;
    co_await audit(store);
  } catch (...) {
    failed = std::current_exception();
  }
  if (out_.opened) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    try {
      co_await running.running.terminate();
    } catch (...) {
      ending = std::current_exception();
    }
  }
  for (const std::exception_ptr& one : {failed, ending}) {
    if (one) {
      tell(one);
    }
  }
}

asio::awaitable<bool> examiner::look_inside() {
  // Who has it open may be in the middle of writing what is looked at here.
  std::vector<io::held_lock> still = co_await hold_still(files_, directory_);
  const std::optional<store_facts> facts = co_await look();
  if (!facts) {
    co_return false;
  }
  tell_problems(*facts);
  const auto damaged = teller();
  const store_facts seen = *facts;
  co_await pagestore::check_twins(files_, seen, damaged);
  still.clear();
  co_await open_and_audit(seen);
  co_return true;
}

asio::awaitable<bool> examiner::read_files() {
  const std::optional<store_facts> facts = co_await look();   // it may have come to new logs
  if (!facts) {
    co_return false;
  }
  tell_problems(*facts);   // of a database that only recovery knew of
  const auto damaged = teller();
  for (const database_facts& one : facts->databases) {
    if (!one.problem.empty() || one.state != "clean" || one.copy) {
      continue;   // told already, or in the middle of something
    }
    const std::filesystem::path path = directory_ / one.path;
    std::exception_ptr failed;
    try {
      const pagestore::database_totals read = co_await pagestore::check_database(files_, path, damaged);
      out_.pages += read.pages;
      ++out_.databases;
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed) {
      tell(failed);
    }
  }
  const store_facts now = *facts;
  const std::uint32_t logs = co_await pagestore::check_logs(files_, now, damaged);
  out_.logs = logs;
  co_return true;
}

json to_json(const store_findings& found) {
  json out = json_object();
  out["status"] = found.damage.empty() ? "good" : "damaged";
  out["total"] = nullptr;
  if (found.total) {
    out["total"] = *found.total;
  }
  out["expected_total"] = nullptr;
  if (found.expected_total) {
    out["expected_total"] = *found.expected_total;
  }
  json writers = json::array();
  for (const auto& [number, last] : found.writers) {
    json one;
    one["writer"] = number;
    one["last"] = last;
    writers.push_back(std::move(one));
  }
  out["writers"] = std::move(writers);
  json damage = json::array();
  for (const found_damage& d : found.damage) {
    json one;
    one["file"] = d.file;
    one["offset"] = d.offset;
    one["what"] = d.what;
    damage.push_back(std::move(one));
  }
  if (found.more_damage != 0) {
    json one;
    one["file"] = "";
    one["offset"] = nullptr;
    one["what"] = fmt::format("and {} more", found.more_damage);
    damage.push_back(std::move(one));
  }
  out["damage"] = std::move(damage);
  return out;
}

std::string in_words(const store_findings& found) {
  std::string out;
  for (const found_damage& d : found.damage) {
    out += fmt::format("{} at byte {}: {}\n", printable(d.file), d.offset, printable(d.what));
  }
  if (found.more_damage != 0) {
    out += fmt::format("and {} more\n", found.more_damage);
  }
  if (found.total) {
    std::uint64_t transactions = 0;
    for (const auto& one : found.writers) {
      transactions += one.second;
    }
    out += fmt::format("the bank holds {}, expected {}; {} by {}\n", *found.total, *found.expected_total,
                       show_count(transactions, "transaction", "transactions"), show_count(found.writers.size(), "writer", "writers"));
  } else if (found.expected_total) {
    out += "the bank could not be read as a whole\n";
  } else if (found.opened) {
    out += "no bank is in it: pages and logs were checked\n";
  }
  out += fmt::format("{}, {}, {}: {}\n", show_count(found.databases, "database", "databases"), show_count(found.pages, "page", "pages"),
                     show_count(found.logs, "log", "logs"), found.damage.empty() ? "good" : "damaged");
  return out;
}

}  // namespace

store_findings check_store(io::file_system files, std::filesystem::path directory, runner& loop) {
  examiner work(std::move(files), std::move(directory));
  // A signal that comes while the store is being ended is met between the two.
  const bool readable = loop.run(work.look_inside());
  if (readable) {
    loop.run(work.read_files());
  }
  return work.take();
}

int run_store_check(const store_arguments& given, io::file_system files, console& out, runner& loop) {
  const store_findings found = check_store(files, given.directory, loop);
  if (out.as_json()) {
    out.print_json(to_json(found));
  } else {
    out.print(in_words(found));
  }
  return found.damage.empty() ? exit_status::done : exit_status::damage;
}

}  // namespace contrail::cli
