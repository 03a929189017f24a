#include <contrail/restore.hpp>

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "operations/placement.hpp"
#include "operations/set_copy.hpp"
#include "operations/work_directory.hpp"

#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace contrail {

namespace {

using operations::copied_file;

constexpr const char* work_prefix = ".contrail-restore-";

// Everything that one restore has made and must take away again when nothing comes of it.
class restoring {
 public:
  restoring(io::file_system fs, restorer& with, std::filesystem::path into, const restore_options& options, std::string operation)
      : fs_(fs),
        with_(with),
        into_(std::move(into)),
        operation_(std::move(operation)),
        memory_(options.memory),
        counters_(options.progress),
        placing_(fs, with, into_, options.overwrite, options.memory / 4, operation_),
        work_(fs, into_, work_prefix, operation_) {}

  asio::awaitable<void> run(repository& from, std::string set, restore_report& report);
  asio::awaitable<void> finish();
  asio::awaitable<void> undo();

 private:
  asio::awaitable<void> provide_directory();
  asio::awaitable<operations::set_chain> survey(repository& from, std::string set);
  asio::awaitable<void> copy(repository& from, operations::set_chain chain, std::vector<copied_file>& files);
  asio::awaitable<void> dress(const std::string& name, const copied_file* original);

  io::file_system fs_;
  restorer& with_;
  const std::filesystem::path into_;
  const std::string operation_;
  const std::size_t memory_;
  struct progress* counters_;
  operations::placement placing_;
  operations::work_directory work_;
  bool made_into_ = false;
};

// What would be in the way is found before anything is written: the names of the sets are read first, without their files.
asio::awaitable<operations::set_chain> restoring::survey(repository& from, std::string set) {
  const operations::set_chain chain = co_await operations::find_chain(from, std::move(set), memory_);
  operations::check_restorable(chain, with_, operation_);
  operations::set_chain links = chain;
  co_await with_.check_chain(std::move(links));
  for (const std::shared_ptr<const manifest>& link : chain) {
    const std::unique_ptr<set_reader> reader = co_await operations::open_link(from, link, memory_);
    while (true) {
      const std::optional<manifest_file> file = co_await operations::next_file_of(*reader);
      if (!file.has_value()) break;
      co_await placing_.look_at(file->file.name, file->file.role);
    }
  }
  co_return chain;
}

// One set after the other, so that one reader's memory is enough.
asio::awaitable<void> restoring::copy(repository& from, operations::set_chain chain, std::vector<copied_file>& files) {
  for (const std::shared_ptr<const manifest>& link : chain) {
    const std::unique_ptr<set_reader> reader = co_await operations::open_link(from, link, memory_ / 4 * 3);
    // Nobody reads it soon: past the page cache, which the applications of this machine may want to keep.
    co_await operations::copy_set(fs_, *reader, work_.path(), memory_ / 4, io::caching::direct, counters_, operation_, files);
  }
}

asio::awaitable<void> restoring::provide_directory() {
  const std::error_code ec = co_await calls::make_directory(fs_, into_);
  if (!ec) {
    made_into_ = true;
    co_return;
  }
  if (calls::is_missing(ec)) fail(ec, operation_, into_.string(), {}, "a directory above it", "none; make it first");
  if (!calls::is_taken(ec)) calls::check(ec, operation_, into_);
  const calls::found there = co_await calls::stat(fs_, into_ / ".");
  calls::check(there.ec, operation_, into_);
}

// Rights and owner of the original, as far as they are known and may be given; then everything of the file on stable storage.
asio::awaitable<void> restoring::dress(const std::string& name, const copied_file* original) {
  const std::filesystem::path path = work_.path() / io::to_path(name);
  io::attributes value;
  value.mode = 0600;
  if (original != nullptr) {
    if (original->mode != 0) value.mode = original->mode & 0777u;
    operations::parse_owner(original->owner, value);
  }
  io::open_options options;
  options.mode = io::access::read;
  calls::opened file = co_await calls::open(fs_, path, options);
  calls::check(file.ec, operation_, path);
  std::error_code ec = co_await calls::set_attributes(fs_, path, value);
  if (ec && value.set_owner) {
    value.set_owner = false;   // not ours to give away
    ec = co_await calls::set_attributes(fs_, path, value);
  }
  calls::check(ec, operation_, path);
  const std::error_code synced = co_await calls::sync(file.file);
  calls::check(synced, operation_, path);
}

asio::awaitable<void> restoring::run(repository& from, std::string set, restore_report& report) {
  const calls::found there = co_await calls::stat(fs_, into_ / ".");
  // Some systems say so, some show what is there.
  if (there.ec == std::errc::not_a_directory || (!there.ec && there.entry.type == io::entry_type::file)) {
    fail(std::make_error_code(std::errc::not_a_directory), operation_, into_.string(), {}, "a directory", "a file");
  }
  operations::set_chain chain = co_await survey(from, std::move(set));
  const std::string id = chain.back()->set;
  co_await placing_.hold_existing();

  co_await provide_directory();
  co_await work_.make();
  std::vector<copied_file> files;
  co_await copy(from, chain, files);   // the readers' memory is for the engine then

  // Lists of all files are let go as soon as may be: there may be very many.
  std::optional<recovery> work = operations::make_recovery(work_.path(), std::move(chain), files, false, memory_);
  std::vector<std::string> names = co_await with_.recover(*work);
  work.reset();
  std::sort(files.begin(), files.end(), [](const copied_file& a, const copied_file& b) { return a.file.name < b.file.name; });
  for (const std::string& name : names) {
    if (!is_safe_name(name)) fail(errc::unsafe_path, operation_, name);
    const auto original =
        std::lower_bound(files.begin(), files.end(), name, [](const copied_file& f, const std::string& n) { return f.file.name < n; });
    const copied_file* const stored = original == files.end() || original->file.name != name ? nullptr : &*original;
    co_await dress(name, stored);
    const std::filesystem::path path = work_.path() / io::to_path(name);
    const calls::found result = co_await calls::stat(fs_, path);
    calls::check(result.ec, operation_, path);
    report.bytes += result.entry.facts.bytes;
  }
  files = std::vector<copied_file>();
  co_await calls::sync_tree(fs_, work_.path(), operation_);
  co_await placing_.place(work_.path(), names);
  // As in a repository: the name of a directory that was there may be as new as ours.
  const std::filesystem::path above = calls::directory_of(into_);
  const std::error_code named = co_await calls::sync_directory(fs_, into_ / "..");
  const bool forbidden = named == std::errc::permission_denied || named == std::errc::operation_not_permitted;
  if (made_into_ || !forbidden) calls::check(named, operation_, above);
  report.set = id;
  report.directory = into_;
  report.files = names.size();
  report.placed = std::move(names);
}

asio::awaitable<void> restoring::finish() {
  placing_.release();
  // What cannot be removed now is hidden and has no lock: the next restore into this directory removes it.
  const std::error_code ignored = co_await work_.clear();
  (void)ignored;
}

asio::awaitable<void> restoring::undo() {
  co_await placing_.undo();
  placing_.release();
  const std::error_code cleared = co_await work_.clear();
  if (!cleared && made_into_) {
    const std::error_code ignored = co_await calls::remove(fs_, into_);
    (void)ignored;
  }
}

asio::awaitable<restore_report> restore_set(repository& from, restorer& with, std::filesystem::path into, restore_options options,
                                            std::string set) {
  const auto ex = co_await asio::this_coro::executor;
  const auto begun = std::chrono::steady_clock::now();
  io::file_system fs = options.files != nullptr ? *options.files : io::file_system::of(ex);
  const std::string operation = "restore set " + set;
  operations::require_memory(options.memory, operation);
  restoring work(fs, with, into, options, operation);
  restore_report report;
  std::exception_ptr failure;
  try {
    co_await work.run(from, set, report);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (failure) {
    co_await work.undo();
    calls::rethrow_as_error(failure, operation, into);
  }
  co_await work.finish();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  co_return report;
}

}  // namespace

asio::awaitable<restore_report> restore(repository& from, restorer& with, std::filesystem::path into, restore_options options) {
  // In a coroutine of its own: what the clean-up does to the state of cancellation is not the caller's business.
  const auto ex = co_await asio::this_coro::executor;
  while (!into.has_filename() && into.has_relative_path()) into = into.parent_path();   // "dir/" is "dir"
  asio::awaitable<restore_report> body = restore_set(from, with, std::move(into), options, std::string(options.set));
  restore_report report = co_await asio::co_spawn(ex, std::move(body), asio::use_awaitable);
  co_return report;
}

}  // namespace contrail
