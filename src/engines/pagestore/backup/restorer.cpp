#include <contrail/engines/pagestore/restorer.hpp>

#include "engines/pagestore/backup/set_state.hpp"
#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/hard_recovery.hpp"

#include <contrail/engines/pagestore/inspect.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace contrail {

namespace {

constexpr const char* check_operation = "check the chain of sets";

std::string number(std::uint64_t value) { return std::to_string(value); }

pagestore::set_state state_of(const manifest& set) {
  if (set.engine != "pagestore") fail(errc::set_damaged, "check the set " + set.set, {}, {}, "a set of the engine pagestore", set.engine);
  pagestore::set_state out = pagestore::set_state::read(set.engine_state);
  if (out.mark == set.at.position) return out;
  fail(errc::set_damaged, "check the set " + set.set, {}, {}, "the mark " + number(out.mark), number(set.at.position));
}

// Each goes on with the logs of one and the same store where the one before it ends, which is the one that it was built on.
void require_link(const manifest& before, const pagestore::set_state& reached, const manifest& set, const pagestore::set_state& state) {
  const std::string which = "set " + set.set;
  const auto another = [&](const std::string& expected, const std::string& found) {
    fail(errc::invalid_backup_sequence, check_operation, which, {}, expected, found);
  };
  if (!is_chained(set.what)) another("an incremental or differential set", std::string(to_string(set.what)));
  if (before.what != kind::full && (set.what == kind::differential || before.what != kind::incremental)) {
    another(set.what == kind::differential ? "one behind a full set" : "one behind a full or incremental set", std::string(to_string(before.what)));
  }
  if (set.parent != before.set || set.parent_mark != before.at) another("one that was built on set " + before.set, "one of set " + set.parent);
  if (state.base_name != reached.base_name || state.page_size != reached.page_size || state.log_file_size != reached.log_file_size ||
      state.log != reached.log) {
    another("logs of the same store", "those of another one");
  }
  if (!state.databases.empty()) another("logs alone", number(state.databases.size()) + " databases");
  if (state.low > reached.high + 1) {
    fail(errc::missing_restore_log_files, check_operation, which, {}, "logs from generation " + number(reached.high + 1) + " on",
         "generation " + number(state.low) + " is the first");
  }
  if (state.low != reached.high + 1) {
    another("logs from generation " + number(reached.high + 1) + " on", "generation " + number(state.low) + " is the first; it is in two sets");
  }
}

/// Of the full set, with the logs of all.
pagestore::set_state state_of(const std::vector<std::shared_ptr<const manifest>>& chain) {
  for (const std::shared_ptr<const manifest>& set : chain) {
    if (!set) fail(errc::invalid_backup_sequence, check_operation, {}, {}, "sets", "none");
  }
  if (chain.empty()) fail(errc::invalid_backup_sequence, check_operation, {}, {}, "a full set or a copy", "none");
  const manifest& first = *chain.front();
  if (is_chained(first.what)) {
    fail(errc::missing_full_backup, check_operation, "set " + first.set, {}, "a full set or a copy", std::string(to_string(first.what)));
  }
  pagestore::set_state out = state_of(first);
  for (std::size_t i = 1; i < chain.size(); ++i) {
    const pagestore::set_state next = state_of(*chain[i]);
    require_link(*chain[i - 1], out, *chain[i], next);
    out.high = next.high;
  }
  return out;
}

constexpr const char* replacing = "replace the database";

// Other programs have files of that name, too: "app.log".
asio::awaitable<bool> is_log(io::file_system fs, std::filesystem::path path) {
  try {
    const pagestore::log_reader log = co_await pagestore::log_reader::open(fs, std::move(path));
    static_cast<void>(log);
  } catch (const error& e) {
    if (e.code() != errc::log_file_corrupt && e.code() != errc::missing_log_file) throw;
    co_return false;
  }
  co_return true;
}

// An instance's logs belong to the files that it had: another file under the name of one of them is refused by its next recovery, and what
// was committed last is in the logs alone.
asio::awaitable<void> require_no_store(io::file_system fs, std::filesystem::path directory, std::filesystem::path file) {
  calls::listing all = co_await calls::list(fs, directory);
  if (calls::is_missing(all.ec)) co_return;
  calls::check(all.ec, replacing, directory);
  for (const io::entry& e : all.entries) {
    const std::string name = io::to_text(e.name);
    const std::optional<std::string> base = pagestore::base_of(name);
    if (!base) continue;
    if (name == pagestore::current_log_name(*base)) {
      const bool ours = co_await is_log(fs, directory / e.name);
      if (!ours) continue;
    }
    fail(errc::database_locked, replacing, io::to_text(file), {}, "a directory without the logs of a store",
         io::to_text(directory / e.name) + "; restore into another directory, or end that store and remove its logs and checkpoint first");
  }
}

// Whole only together with its logs, wherever they are. One without a header that can be read is nobody's any more.
asio::awaitable<void> require_not_needed(io::file_system fs, std::filesystem::path path) {
  std::optional<pagestore::database_file> file;
  try {
    file = co_await pagestore::database_file::open(fs, path, 0);
  } catch (const error& e) {
    if (e.code() != errc::database_corrupted && e.code() != errc::file_not_found) throw;
  }
  if (!file || file->header().state != pagestore::database_state::dirty) co_return;
  fail(errc::database_locked, replacing, io::to_text(path), {}, "a database that was left in order",
       "one that is in use, or was when its store was killed: what was committed last is in that store's logs. Open the store, which recovers it, "
       "and end it; or restore into another directory; or remove this file first");
}

}  // namespace

struct pagestore_restorer::impl {
  explicit impl(io::file_system fs) : files(std::move(fs)) {}
  io::file_system files;
};

pagestore_restorer::pagestore_restorer(asio::any_io_executor ex) : pagestore_restorer(io::file_system::of(std::move(ex))) {}
pagestore_restorer::pagestore_restorer(io::file_system files) : impl_(std::make_shared<impl>(std::move(files))) {}
pagestore_restorer::~pagestore_restorer() = default;

std::string_view pagestore_restorer::engine() const noexcept { return "pagestore"; }

asio::awaitable<void> pagestore_restorer::check_chain(std::vector<std::shared_ptr<const manifest>> chain) {
  const pagestore::set_state ignored = state_of(chain);
  static_cast<void>(ignored);
  co_return;
}

asio::awaitable<std::vector<std::string>> pagestore_restorer::recover(const recovery& work) {
  const auto self = impl_;
  const pagestore::set_state state = state_of(work.chain);
  const auto incomplete = [&](const std::string& expected, const std::string& found) {
    fail(errc::set_incomplete, "recover the set", io::to_text(work.directory), {}, expected, found);
  };
  std::map<std::string, file_role> present;
  for (const restored_file& f : work.files) {
    if (!present.emplace(f.name, f.role).second) incomplete("each file once", f.name + " twice");
  }
  pagestore::copied_set copy;
  copy.logs = work.directory;
  copy.base_name = state.base_name;
  copy.page_size = state.page_size;
  copy.log = state.log;
  copy.mark = state.mark;
  copy.low = state.low;
  copy.high = state.high;
  copy.memory = work.memory;
  std::vector<std::string> kept;
  for (const pagestore::set_state::member& m : state.databases) {
    if (present.count(m.name) == 0 || present.at(m.name) != file_role::database) incomplete("the database " + m.name, "nothing");
    pagestore::copied_set::member one;
    one.path = work.directory / io::to_path(m.name);
    one.database = m.database;
    one.pages = m.pages;
    copy.databases.push_back(std::move(one));
    kept.push_back(m.name);
  }
  std::vector<std::filesystem::path> logs;
  for (std::uint32_t g = state.low; g <= state.high; ++g) {
    const std::string name = pagestore::log_name(state.base_name, g);
    if (present.count(name) == 0 || present.at(name) != file_role::log) incomplete("the log " + name, "nothing");
    logs.push_back(work.directory / name);
  }
  if (work.files.size() != logs.size() + kept.size()) {
    incomplete(std::to_string(logs.size()) + " logs and " + std::to_string(kept.size()) + " databases", std::to_string(work.files.size()) + " files");
  }
  const pagestore::hard_outcome done = co_await pagestore::hard_recovery(self->files, std::move(copy));
  static_cast<void>(done);
  for (const std::filesystem::path& log : logs) {
    const std::error_code ec = co_await calls::remove(self->files, log);
    calls::check(ec, "remove the played log", log);
  }
  const std::error_code named = co_await calls::sync_directory(self->files, work.directory);
  calls::check(named, "recover the set", work.directory);
  if (work.prove) {
    for (const std::string& name : kept) {
      const std::function<void(const pagestore::found_damage&)> refuse = [](const pagestore::found_damage& d) {
        fail(errc::read_verify_failure, "check the restored database", d.file, d.offset, {}, d.what);
      };
      const pagestore::database_totals ignored = co_await pagestore::check_database(self->files, work.directory / io::to_path(name), refuse);
      static_cast<void>(ignored);
    }
  }
  co_return kept;
}

std::vector<std::string> pagestore_restorer::companions(std::string_view) const { return {}; }

asio::awaitable<void> pagestore_restorer::check_target(std::filesystem::path into, std::string name) {
  const auto self = impl_;
  const std::filesystem::path file = into / io::to_path(name);
  co_await require_no_store(self->files, into, file);
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    co_await require_no_store(self->files, into / io::to_path(name.substr(0, slash)), file);
  }
}

asio::awaitable<std::shared_ptr<void>> pagestore_restorer::hold_target(std::filesystem::path file) {
  const auto self = impl_;
  co_await require_no_store(self->files, calls::directory_of(file), file);
  calls::locked taken = co_await calls::lock(self->files, file);
  if (calls::is_held(taken.ec)) {
    fail(errc::database_locked, replacing, io::to_text(file), {}, "a database that nobody has open", "a store has it attached");
  }
  calls::check(taken.ec, replacing, file);
  co_await require_not_needed(self->files, file);
  std::shared_ptr<void> out = std::make_shared<io::held_lock>(std::move(taken.lock));
  co_return out;
}

// A file that is open is replaced on some systems only.
bool pagestore_restorer::before_replacing(const std::shared_ptr<void>& held) noexcept {
  static_cast<io::held_lock*>(held.get())->release();
  return true;
}

}  // namespace contrail
