#include <contrail/engines/pagestore/restorer.hpp>

#include "engines/pagestore/backup/set_state.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/recovery/hard_recovery.hpp"

#include <contrail/engines/pagestore/inspect.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace contrail {

namespace {

pagestore::set_state state_of(const std::vector<std::shared_ptr<const manifest>>& chain) {
  if (chain.size() != 1 || !chain.front()) {
    fail(errc::invalid_backup_sequence, "check the chain of sets", {}, {}, "one full set or copy", std::to_string(chain.size()) + " sets");
  }
  const manifest& set = *chain.front();
  if (set.engine != "pagestore") fail(errc::set_damaged, "check the set " + set.set, {}, {}, "a set of the engine pagestore", set.engine);
  if (set.what != kind::full && set.what != kind::copy) {
    fail(errc::missing_full_backup, "check the set " + set.set, {}, {}, "a full set or a copy", std::string(to_string(set.what)));
  }
  return pagestore::set_state::read(set.engine_state);
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
  for (const restored_file& f : work.files) present.emplace(f.name, f.role);
  pagestore::copied_set copy;
  copy.logs = work.directory;
  copy.base_name = state.base_name;
  copy.page_size = state.page_size;
  copy.log = state.log;
  copy.mark = state.mark;
  copy.low = state.low;
  copy.high = state.high;
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

// An instance's logs belong to the files that it had: another file under the name of one of them is refused by its next recovery.
asio::awaitable<std::shared_ptr<void>> pagestore_restorer::hold_target(std::filesystem::path file) {
  const auto self = impl_;
  const std::filesystem::path directory = calls::directory_of(file);
  calls::listing all = co_await calls::list(self->files, directory);
  calls::check(all.ec, "replace the database", directory);
  for (const io::entry& e : all.entries) {
    const std::string name = io::to_text(e.name);
    const bool ours = name.size() > 4 && pagestore::is_base_name(name.substr(0, 3)) && (name.ends_with(".log") || name.substr(3) == ".chk");
    if (!ours) continue;
    fail(errc::database_locked, "replace the database", io::to_text(file), {}, "a directory without the logs of a store",
         name + "; restore into another directory, or end that store and remove its logs and checkpoint first");
  }
  calls::locked taken = co_await calls::lock(self->files, file);
  if (calls::is_held(taken.ec)) {
    fail(errc::database_locked, "replace the database", io::to_text(file), {}, "a database that nobody has open", "a store has it attached");
  }
  calls::check(taken.ec, "replace the database", file);
  std::shared_ptr<void> out = std::make_shared<io::held_lock>(std::move(taken.lock));
  co_return out;
}

// A file that is open is replaced on some systems only.
bool pagestore_restorer::before_replacing(const std::shared_ptr<void>& held) noexcept {
  static_cast<io::held_lock*>(held.get())->release();
  return true;
}

}  // namespace contrail
