#include <contrail/engines/sqlite.hpp>

#include "engine_state.hpp"
#include "hold_target.hpp"
#include "proof.hpp"
#include "wal_apply.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/io/worker.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace contrail {

namespace {

constexpr auto no_throw = asio::experimental::as_tuple(asio::use_awaitable);

sqlite::engine_state state_of(const std::vector<std::shared_ptr<const manifest>>& chain) {
  if (chain.size() != 1 || !chain.front()) {
    fail(errc::invalid_backup_sequence, "check the chain of sets", {}, {}, "one full set or copy",
         fmt::format("{} sets; a SQLite set stands alone", chain.size()));
  }
  const manifest& set = *chain.front();
  if (set.engine != "sqlite") {
    fail(errc::set_damaged, "check the set " + set.set, {}, {}, "a set of the engine sqlite", set.engine);
  }
  if (is_chained(set.what)) {
    fail(errc::missing_full_backup, "check the set " + set.set, {}, {}, "a full set or a copy", std::string(to_string(set.what)));
  }
  return sqlite::engine_state::read(set.engine_state);
}

const restored_file* find(const recovery& work, const std::string& name, file_role role) noexcept {
  const auto same = [&](const restored_file& file) { return file.name == name && file.role == role; };
  const auto found = std::find_if(work.files.begin(), work.files.end(), same);
  return found == work.files.end() ? nullptr : &*found;
}

}  // namespace

struct sqlite_restorer::impl {
  explicit impl(io::file_system fs) : files(std::move(fs)), work(files.get_executor()) {}
  io::file_system files;
  io::worker work;
};

sqlite_restorer::sqlite_restorer(asio::any_io_executor ex) : sqlite_restorer(io::file_system::of(std::move(ex))) {}
sqlite_restorer::sqlite_restorer(io::file_system files) : impl_(std::make_shared<impl>(std::move(files))) {}
sqlite_restorer::~sqlite_restorer() = default;

std::string_view sqlite_restorer::engine() const noexcept { return "sqlite"; }

asio::awaitable<void> sqlite_restorer::check_chain(std::vector<std::shared_ptr<const manifest>> chain) {
  (void)state_of(chain);
  co_return;
}

asio::awaitable<std::vector<std::string>> sqlite_restorer::recover(const recovery& work) {
  const auto self = impl_;
  const sqlite::engine_state state = state_of(work.chain);
  const std::filesystem::path database = work.directory / io::to_path(state.database);
  const restored_file* const body = find(work, state.database, file_role::database);
  const restored_file* const log = state.log.empty() ? nullptr : find(work, state.log, file_role::log);
  const std::size_t expected_files = state.log.empty() ? 1 : 2;
  if (body == nullptr || (!state.log.empty() && log == nullptr) || work.files.size() != expected_files) {
    fail(errc::set_incomplete, "recover the set", work.directory.string(), {},
         state.log.empty() ? state.database : state.database + " and " + state.log, fmt::format("{} files", work.files.size()));
  }
  if (body->bytes != state.file_pages * state.page_bytes) {
    fail(errc::set_incomplete, "recover the set", state.database, {}, fmt::format("{} pages of {} bytes", state.file_pages, state.page_bytes),
         fmt::format("{} bytes", body->bytes));
  }
  if (log != nullptr && state.frames == 0 && log->valid != 0) {
    fail(errc::set_damaged, "recover the set", state.log, {}, "a log without a committed frame", fmt::format("{} bytes that count", log->valid));
  }
  if (state.frames != 0) {
    co_await sqlite::apply_log(self->files, database, work.directory / io::to_path(state.log), log->valid, state);
  } else {
    const auto coverage = std::make_shared<const sqlite::page_coverage>(state.file_pages);
    co_await sqlite::settle_database(self->files, database, state, coverage);
  }
  if (log != nullptr) {
    auto [not_removed] = co_await self->files.async_remove(work.directory / io::to_path(state.log), no_throw);
    if (not_removed) {
      fail(not_removed, "remove the applied log", (work.directory / io::to_path(state.log)).string());
    }
  }
  auto [not_synced] = co_await self->files.async_sync_directory(database.parent_path(), no_throw);
  if (not_synced) {
    fail(not_synced, "sync the directory", database.parent_path().string());
  }
  if (work.prove) {
    auto proving = [database, state] { sqlite::prove(database, state.pages); };
    co_await self->work.async_run(std::move(proving), asio::use_awaitable);
  }
  std::vector<std::string> kept;
  kept.push_back(state.database);
  co_return kept;
}

std::vector<std::string> sqlite_restorer::companions(std::string_view file) const {
  std::vector<std::string> out;
  for (const std::string_view suffix : {"-wal", "-shm", "-journal"}) {
    out.push_back(std::string(file).append(suffix));
  }
  return out;
}

asio::awaitable<std::shared_ptr<void>> sqlite_restorer::hold_target(std::filesystem::path file) {
  const auto self = impl_;
  auto holding = [file] { return sqlite::hold_target(file); };
  std::shared_ptr<void> held = co_await self->work.async_run(std::move(holding), asio::use_awaitable);
  co_return held;
}

bool sqlite_restorer::before_replacing(const std::shared_ptr<void>& held) noexcept { return sqlite::before_replacing(held); }

}  // namespace contrail
