#include <contrail/verify.hpp>

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "operations/set_copy.hpp"
#include "operations/work_directory.hpp"

#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <exception>
#include <utility>

namespace contrail {

namespace {

using operations::copied_file;

constexpr const char* work_prefix = ".contrail-proof-";
constexpr std::size_t most_damage = 1000;   // told one by one; a set of a million damaged files must not fill the memory

bool is_damage(std::error_code ec) noexcept {
  return ec == errc::set_damaged || ec == errc::set_incomplete || ec == errc::format_unknown || ec == errc::unsafe_path ||
         ec == errc::foreign_file;
}

// Does this failure of a recovery speak about the set, or about the place where it was tried?
bool speaks_of_set(std::error_code ec) noexcept {
  return ec.category() == category() && ec != errc::out_of_memory && ec != errc::disk_full && ec != errc::disk_io &&
         ec != errc::file_access_denied && ec != errc::invalid_path && ec != errc::invalid_parameter && ec != errc::feature_not_built;
}

class verifying {
 public:
  verifying(io::file_system fs, repository& of, restorer_registry* provers, const verify_options& options)
      : fs_(std::move(fs)),
        of_(of),
        provers_(provers),
        set_(options.set),
        memory_(options.memory),
        scratch_(options.scratch != nullptr ? *options.scratch : std::filesystem::path()),
        counters_(options.progress) {}

  asio::awaitable<verify_report> run();

 private:
  asio::awaitable<void> check(verify_entry& entry);
  asio::awaitable<void> check_files(set_reader& reader, verify_entry& entry);
  asio::awaitable<void> check_chain(verify_entry& entry);
  asio::awaitable<void> prove(verify_entry& entry);
  asio::awaitable<void> prove_in(std::string set, restorer* with, std::filesystem::path scratch);
  void damaged(verify_entry& entry, const error& e);

  io::file_system fs_;
  repository& of_;
  restorer_registry* provers_;
  const std::string set_;
  const std::size_t memory_;
  const std::filesystem::path scratch_;
  struct progress* counters_;
  std::size_t not_told_ = 0;
};

std::string words(const error& e) {
  std::string out = e.code().message();
  const error_details& d = e.details();
  if (!d.expected.empty()) out += ": expected " + d.expected;
  if (!d.found.empty()) out += (d.expected.empty() ? ": found " : ", found ") + d.found;
  return out;
}

void verifying::damaged(verify_entry& entry, const error& e) {
  if (entry.damage.size() >= most_damage) {
    ++not_told_;
    return;
  }
  file_damage d;
  d.file = e.details().file;
  d.offset = e.details().offset;
  d.what = words(e);
  entry.damage.push_back(std::move(d));
}

// Goes on behind every damage, to find all of it.
asio::awaitable<void> verifying::check_files(set_reader& reader, verify_entry& entry) {
  bool in_file = false;
  while (true) {
    try {
      if (!in_file) {
        const std::optional<manifest_file> file = co_await reader.next_file();
        if (!file.has_value()) co_return;
        in_file = true;
      }
      const std::optional<set_reader::chunk> chunk = co_await reader.next();
      if (!chunk.has_value()) {
        in_file = false;
      } else if (counters_ != nullptr) {
        counters_->bytes_read.fetch_add(chunk->bytes, std::memory_order_relaxed);
      }
    } catch (const error& e) {
      if (!is_damage(e.code())) throw;
      in_file = false;
      damaged(entry, e);
    }
  }
}

// Whole as it may be: without those that it was built on nothing can be restored from it.
asio::awaitable<void> verifying::check_chain(verify_entry& entry) {
  try {
    const operations::set_chain ignored = co_await operations::find_chain(of_, entry.set, memory_);
    (void)ignored;
  } catch (const error& e) {
    if (!is_damage(e.code())) throw;
    file_damage d;
    d.what = std::string("cannot be restored: ") + e.what();
    entry.damage.push_back(std::move(d));
  }
}

asio::awaitable<void> verifying::check(verify_entry& entry) {
  not_told_ = 0;
  std::unique_ptr<set_reader> reader;
  try {
    reader = co_await of_.open(entry.set, memory_);
    entry.engine = reader->info()->engine;
  } catch (const error& e) {
    if (!is_damage(e.code())) throw;
    damaged(entry, e);
  }
  if (reader != nullptr) co_await check_files(*reader, entry);
  const bool alone = reader == nullptr || !is_chained(reader->info()->what);
  reader.reset();   // its memory is for the next ones
  if (!alone) co_await check_chain(entry);
  if (not_told_ == 0) co_return;
  file_damage rest;
  rest.what = "and " + std::to_string(not_told_) + " more";
  entry.damage.push_back(std::move(rest));
}

asio::awaitable<void> verifying::prove_in(std::string set, restorer* with, std::filesystem::path scratch) {
  const std::string operation = "prove set " + set;
  operations::work_directory work(fs_, scratch, work_prefix, operation);
  std::exception_ptr failure;
  try {
    co_await work.make();
    operations::set_chain chain = co_await operations::find_chain(of_, set, memory_ / 4 * 3);
    operations::check_restorable(chain, *with, operation);
    operations::set_chain links = chain;
    co_await with->check_chain(std::move(links));
    std::vector<copied_file> files;
    for (const std::shared_ptr<const manifest>& link : chain) {
      // The engine reads all of it at once, in an order of its own: from the page cache, or page by page from the disk, which takes
      // several times as long.
      const std::unique_ptr<set_reader> reader = co_await operations::open_link(of_, link, memory_ / 4 * 3);
      co_await operations::copy_set(fs_, *reader, work.path(), memory_ / 4, io::caching::cached, nullptr, operation, files);
    }
    const recovery todo = operations::make_recovery(work.path(), std::move(chain), files, true, memory_);
    const std::vector<std::string> names = co_await with->recover(todo);
    (void)names;
  } catch (...) {
    failure = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const std::error_code cleared = co_await work.clear();
  if (failure) calls::rethrow_as_error(failure, operation, scratch);
  calls::check(cleared, operation, work.path());
}

asio::awaitable<void> verifying::prove(verify_entry& entry) {
  restorer* const with = provers_->find(entry.engine);
  if (with == nullptr) {
    fail(errc::feature_not_built, "prove set " + entry.set, {}, {}, "engine " + entry.engine, "a build without it");
  }
  const std::filesystem::path scratch = scratch_.empty() ? io::temporary_directory() : scratch_;
  const auto ex = co_await asio::this_coro::executor;
  try {
    // In a coroutine of its own, which may switch off its cancellation to clean up.
    asio::awaitable<void> body = prove_in(entry.set, with, scratch);
    co_await asio::co_spawn(ex, std::move(body), asio::use_awaitable);
    entry.proven = true;
  } catch (const error& e) {
    if (!speaks_of_set(e.code())) throw;
    file_damage d;
    d.what = e.what();
    entry.damage.push_back(std::move(d));
  }
}

asio::awaitable<verify_report> verifying::run() {
  operations::require_memory(memory_, "verify");
  const std::vector<set_entry> all = co_await of_.list();
  std::vector<std::pair<std::string, std::string>> chosen;   // and what was wrong with it when it was listed
  const set_entry* const newest = latest_of(all);
  for (const set_entry& s : all) {
    if (s.status == set_status::in_progress) continue;
    const bool wanted = set_ == "all" || s.set == set_ || (set_ == "latest" && &s == newest);
    if (!wanted) continue;
    chosen.emplace_back(s.set, s.why);
    if (counters_ != nullptr && s.info != nullptr) counters_->bytes_total.fetch_add(s.info->bytes, std::memory_order_relaxed);
  }
  if (chosen.empty()) fail(errc::set_not_found, "verify", {}, {}, set_ == "all" ? "a set" : "set " + set_, "none");
  verify_report report;
  std::exception_ptr first;
  bool any_damage = false;
  for (const auto& [set, why] : chosen) {
    verify_entry entry;
    entry.set = set;
    std::exception_ptr failure;
    try {
      co_await check(entry);
      if (entry.damage.empty() && !why.empty()) {
        // A disk that reads only at the second try is not to be called good.
        file_damage at_first;
        at_first.what = "could be read now, but not when the repository was listed: " + why;
        entry.damage.push_back(std::move(at_first));
      }
      if (entry.damage.empty() && provers_ != nullptr) co_await prove(entry);
    } catch (const error& e) {
      if (calls::is_cancelled(e.code())) throw;
      failure = std::current_exception();
      any_damage = any_damage || !entry.damage.empty();
      file_damage unknown;
      unknown.file = e.details().file;
      unknown.what = std::string("could not be checked: ") + e.what();
      entry.damage.push_back(std::move(unknown));
    }
    // What keeps one set from being checked must not hide the damage of another.
    if (failure && !first) first = failure;
    if (!failure) any_damage = any_damage || !entry.damage.empty();
    report.sets.push_back(std::move(entry));
  }
  if (first && !any_damage) std::rethrow_exception(first);
  co_return report;
}

}  // namespace

asio::awaitable<verify_report> verify(repository& of, restorer_registry* provers, verify_options options) {
  const auto ex = co_await asio::this_coro::executor;
  io::file_system fs = options.files != nullptr ? *options.files : io::file_system::of(ex);
  verifying work(fs, of, provers, options);
  std::exception_ptr failure;
  verify_report report;
  try {
    report = co_await work.run();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) calls::rethrow_as_error(failure, "verify", {});
  co_return report;
}

}  // namespace contrail
