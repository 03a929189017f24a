#include <contrail/engines/pagestore/inspect.hpp>

#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/checkpoint_file.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace contrail::pagestore {

namespace {

constexpr unsigned deepest = 8;   ///< folders below the store's directory
constexpr const char* operation = "look at the store";

std::optional<remembered_backup> remembered(const backup_record& r) {
  if (r.low == 0) return std::nullopt;
  remembered_backup out;
  out.at.position = r.mark;
  out.at.unix_nanoseconds = static_cast<std::int64_t>(r.time);
  out.first = r.low;
  out.last = r.high;
  return out;
}

std::string words(database_state state) {
  switch (state) {
    case database_state::being_created: return "being created";
    case database_state::dirty: return "dirty";
    case database_state::clean: break;
  }
  return "clean";
}

void tell(database_facts& out, const database_header& h) {
  out.state = words(h.state);
  out.identity = h.database;
  out.page_size = h.page_size;
  out.pages = h.pages;
  out.dbtime = h.dbtime;
  out.min_required = h.min_required;
  out.max_required = h.max_required;
  out.copy = h.backups[full_current].low != 0;
  out.full = remembered(h.backups[full_previous]);
  out.incremental = remembered(h.backups[incremental_previous]);
  out.copied = remembered(h.backups[copy_previous]);
  out.differential = remembered(h.backups[differential_previous]);
}

class looker {
 public:
  looker(io::file_system fs, std::filesystem::path directory) : fs_(std::move(fs)) { out_.how.directory = std::move(directory); }
  asio::awaitable<store_facts> run();

 private:
  asio::awaitable<void> find_base();
  asio::awaitable<void> look_at_logs();
  asio::awaitable<void> look_at_databases(std::filesystem::path below, unsigned depth);
  asio::awaitable<void> look_at_file(std::filesystem::path relative);

  io::file_system fs_;
  store_facts out_;
  std::set<std::string> named_;   ///< databases that the log has attached
  bool has_logs_ = false;
};

asio::awaitable<void> looker::find_base() {
  const calls::listing all = co_await calls::list(fs_, out_.how.directory);
  const std::string name = io::to_text(out_.how.directory);
  if (calls::is_missing(all.ec)) fail(errc::file_not_found, operation, name, {}, "the directory of a store", "no such directory");
  calls::check(all.ec, operation, out_.how.directory);
  std::set<std::string> bases;
  for (const io::entry& e : all.entries) {
    const std::optional<std::string> base = base_of(io::to_text(e.name));
    if (base && e.type == io::entry_type::file) bases.insert(*base);
  }
  if (bases.empty()) co_return;
  if (bases.size() > 1) fail(errc::invalid_parameter, operation, name, {}, "one store", *bases.begin() + " and " + *std::next(bases.begin()));
  out_.how.base_name = *bases.begin();
  has_logs_ = true;
}

asio::awaitable<void> looker::look_at_logs() {
  const parameters& how = out_.how;
  const log_listing there = co_await list_logs(fs_, how);
  if (there.empty()) {
    fail(errc::missing_log_file, operation, io::to_text(current_log_path(how)), {}, "the logs of the checkpoint that is there", "none");
  }
  std::optional<std::uint32_t> current;
  if (there.current) {
    const std::filesystem::path path = current_log_path(how);
    const log_reader log = co_await log_reader::open(fs_, path);
    current = log.header().generation;
  }
  const log_run run = find_run(there, current, how);
  const std::filesystem::path path = log_path(how, run, run.highest);
  const log_reader newest = co_await log_reader::open(fs_, path);
  const log_header& h = newest.header();
  for (const attached_database& a : h.attached) named_.insert(a.path);
  out_.log = h.log;
  out_.first_generation = run.lowest;
  out_.last_generation = run.highest;
  out_.has_current = run.current;
  out_.how.page_size = h.page_size;
  out_.how.log_file_size = static_cast<std::uint32_t>(h.file_bytes);
  const checkpoint_state checkpoint = co_await read_checkpoint(fs_, out_.how);
  if (!checkpoint.in_force) co_return;
  out_.checkpoint = checkpoint.in_force->redo;
  for (const attached_database& a : checkpoint.in_force->attached) {
    if (a.flags != attached_apart) named_.insert(a.path);
  }
}

asio::awaitable<void> looker::look_at_file(std::filesystem::path relative) {
  database_facts one;
  one.path = relative;
  const bool named = named_.erase(io::to_text(relative.generic_string())) != 0;
  bool ours = named;
  try {
    const database_file file = co_await database_file::open(fs_, out_.how.directory / relative, 0);
    tell(one, file.header());
    ours = named || file.header().state != database_state::being_created;   // the remains of a creation that was cut short
  } catch (const error& e) {
    one.problem = e.what();   // of a file that the logs do not name: something else
  }
  if (ours) out_.databases.push_back(std::move(one));
}

asio::awaitable<void> looker::look_at_databases(std::filesystem::path below, unsigned depth) {
  const calls::listing all = co_await calls::list(fs_, out_.how.directory / below);
  calls::check(all.ec, operation, out_.how.directory / below);
  for (const io::entry& e : all.entries) {
    const std::filesystem::path relative = below / e.name;
    if (e.type == io::entry_type::directory && depth < deepest) co_await look_at_databases(relative, depth + 1);
    const std::string name = io::to_text(e.name);
    const std::optional<std::string> other = depth == 0 ? std::nullopt : base_of(name);
    if (other && name != current_log_name(*other)) {   // which may be any program's
      fail(errc::invalid_parameter, operation, io::to_text(out_.how.directory), {}, "one store",
           "another one, or a backup set, in " + io::to_text(below) + "; name that, or keep it elsewhere");
    }
    const bool log = base_of(name) || name == prepared_log_name(out_.how.base_name) || name == lock_name(out_.how.base_name) || name.ends_with(unfinished_suffix);
    if (e.type == io::entry_type::file && !log) co_await look_at_file(relative);
  }
}

asio::awaitable<store_facts> looker::run() {
  co_await find_base();
  if (has_logs_) co_await look_at_logs();
  const std::filesystem::path top;
  co_await look_at_databases(top, 0);
  if (!has_logs_) {
    const std::string name = io::to_text(out_.how.directory);
    if (out_.databases.empty()) fail(errc::file_not_found, operation, name, {}, "a pagestore", "a directory without logs and databases");
    out_.how.page_size = out_.databases.front().page_size;
  }
  // Those that were not met: elsewhere, or nowhere.
  const std::set<std::string> others = std::exchange(named_, {});
  for (const std::string& name : others) {
    named_.insert(name);
    const std::filesystem::path path = io::to_path(name);
    const calls::found there = co_await calls::stat(fs_, out_.how.directory / path);
    if (!calls::is_missing(there.ec)) {
      co_await look_at_file(path);
      continue;
    }
    database_facts one;
    one.path = path;
    one.problem = "no such file";
    out_.databases.push_back(std::move(one));
  }
  std::sort(out_.databases.begin(), out_.databases.end(), [](const database_facts& a, const database_facts& b) { return a.path < b.path; });
  co_return std::move(out_);
}

}  // namespace

asio::awaitable<store_facts> inspect(io::file_system files, std::filesystem::path directory) {
  looker work(std::move(files), std::move(directory));
  store_facts out = co_await work.run();
  co_return out;
}

}  // namespace contrail::pagestore
