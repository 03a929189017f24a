#include "operations/placement.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/this_coro.hpp>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace contrail::operations {

void parse_owner(std::string_view text, io::attributes& out) noexcept {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, uid);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ':') return;
  const auto second = std::from_chars(first.ptr + 1, end, gid);
  if (second.ec != std::errc() || second.ptr != end) return;
  out.set_owner = true;
  out.uid = uid;
  out.gid = gid;
}

placement::placement(io::file_system fs, restorer& with, std::filesystem::path into, bool overwrite, std::size_t memory, std::string operation)
    : fs_(std::move(fs)),
      with_(with),
      into_(std::move(into)),
      overwrite_(overwrite),
      operation_(std::move(operation)),
      memory_(memory),
      names_(storable_names::rules_of(fs_), memory) {}

// Does something stand at this place? What may not be replaced fails here.
asio::awaitable<bool> placement::is_there(std::string name, bool companion) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::filesystem::path directory = into_ / io::to_path(name.substr(0, slash));
    const calls::found there = co_await calls::stat(fs_, directory);
    if (calls::is_missing(there.ec)) co_return false;
    calls::check(there.ec, operation_, directory);
    if (there.entry.type != io::entry_type::directory) {
      fail(errc::unsafe_path, operation_, directory.string(), {}, "a directory", "a file or a link; links are not followed");
    }
  }
  const std::filesystem::path path = into_ / io::to_path(name);
  const calls::found there = co_await calls::stat(fs_, path);
  if (calls::is_missing(there.ec)) co_return false;
  calls::check(there.ec, operation_, path);
  if (there.entry.type != io::entry_type::file) {
    fail(errc::set_exists, operation_, path.string(), {}, "a free place",
         "something that is not a plain file (a directory or a link); it is never replaced");
  }
  if (!overwrite_) {
    fail(errc::set_exists, operation_, path.string(), {}, "a free place",
         companion ? "a file that would be taken for part of the restored one" : "a file; it is replaced only when that is asked for");
  }
  co_return true;
}

asio::awaitable<void> placement::look_at(std::string name, file_role role) {
  if (!is_safe_name(name)) fail(errc::unsafe_path, operation_, name);
  names_.add(name, operation_);
  if (role == file_role::log && overwrite_) co_return;   // consumed by the recovery, or looked at when its name comes back
  const bool there = co_await is_there(name, false);
  if (role == file_role::log) co_return;
  co_await with_.check_target(into_, name);
  if (there) held_.emplace(name, nullptr);
  const std::vector<std::string> companions = with_.companions(name);
  for (const std::string& companion : companions) {
    const bool ignored = co_await is_there(companion, true);
    (void)ignored;
  }
}

asio::awaitable<void> placement::hold_existing() {
  for (auto& [name, hold] : held_) {
    if (hold != nullptr) continue;
    hold = co_await with_.hold_target(into_ / io::to_path(name));
  }
}

// Were there any? What cannot be removed fails here.
asio::awaitable<bool> placement::remove_companions(std::string name) {
  bool removed = false;
  const std::vector<std::string> companions = with_.companions(name);
  for (const std::string& companion : companions) {
    const bool stale = co_await is_there(companion, true);
    if (!stale) continue;
    const std::filesystem::path path = into_ / io::to_path(companion);
    const std::error_code ec = co_await calls::remove(fs_, path);
    if (!calls::is_missing(ec)) calls::check(ec, operation_, path);
    removed = true;
  }
  co_return removed;
}

asio::awaitable<void> placement::place_one(const std::filesystem::path& work, const std::string& name) {
  const std::filesystem::path target = into_ / io::to_path(name);
  co_await calls::make_parents(fs_, into_, name, operation_, &made_);
  // Asked again: much time has passed.
  const bool there = co_await is_there(name, false);
  if (there && held_.count(name) == 0) {
    held_.emplace(name, nullptr);
    co_await hold_existing();
  }
  const bool removed = co_await remove_companions(name);
  if (removed) {
    const std::filesystem::path directory = calls::directory_of(target);
    const std::error_code ec = co_await calls::sync_directory(fs_, directory);
    calls::check(ec, operation_, directory);
  }
  const std::filesystem::path from = work / io::to_path(name);
  if (there) {
    const bool let_go = with_.before_replacing(held_.at(name));
    const std::error_code ec = co_await calls::rename(fs_, from, target);
    calls::check(ec, operation_, target);
    if (!let_go) co_return;
    // Somebody may have come to the old file and left again: what he left beside it is not the new one's.
    try {
      const bool foreign = co_await remove_companions(name);
      (void)foreign;
    } catch (const error& e) {
      fail(e.code(), operation_, e.details().file, {}, "nothing that would be taken for part of the new " + name,
           "a file that came while that was put in place, and cannot be removed: " + e.details().found +
               "; remove it before anybody opens the new one, or restore again");
    }
    co_return;
  }
  const std::error_code ec = co_await calls::rename_new(fs_, from, target);
  if (calls::is_taken(ec)) fail(errc::set_exists, operation_, target.string(), {}, "a free place", "a file that came meanwhile");
  calls::check(ec, operation_, target);
  fresh_.push_back(name);
}

asio::awaitable<void> placement::place(const std::filesystem::path& work, const std::vector<std::string>& names) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::vector<std::string_view> all(names.begin(), names.end());
  std::sort(all.begin(), all.end());
  // Those of the recovered files, of which the set may have known nothing.
  storable_names placed(storable_names::rules_of(fs_), memory_);
  for (const std::string& name : names) placed.add(name, operation_);
  std::set<std::filesystem::path> directories;
  for (const std::string& name : names) {
    const std::vector<std::string> companions = with_.companions(name);
    const auto other = std::find_if(companions.begin(), companions.end(), [&](std::string_view c) {
      return std::binary_search(all.begin(), all.end(), c) || placed.holds(c);
    });
    if (other != companions.end()) {
      fail(errc::unsafe_path, operation_, *other, {}, "files that do not touch each other", "a name that would be part of " + name);
    }
    // Also those that were there: nobody knows whether their names outlive a crash.
    for (std::filesystem::path way = calls::directory_of(into_ / io::to_path(name)); directories.insert(way).second && way != into_;) {
      way = calls::directory_of(way);
    }
  }
  for (const std::string& name : names) co_await with_.check_target(into_, name);   // again: somebody may have come
  for (const std::string& name : names) co_await place_one(work, name);
  for (const std::filesystem::path& directory : directories) {
    const std::error_code ec = co_await calls::sync_directory(fs_, directory);
    calls::check(ec, operation_, directory);
  }
}

asio::awaitable<void> placement::undo() {
  for (const std::string& name : fresh_) {
    const std::error_code ignored = co_await calls::remove(fs_, into_ / io::to_path(name));
    (void)ignored;
  }
  fresh_.clear();
  for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
    const std::error_code ignored = co_await calls::remove(fs_, *made);
    (void)ignored;
  }
  made_.clear();
}

}  // namespace contrail::operations
