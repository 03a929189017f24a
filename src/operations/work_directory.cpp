#include "operations/work_directory.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <array>
#include <cstdio>
#include <random>
#include <set>
#include <utility>

namespace contrail::operations {

namespace {

constexpr std::string_view lock_suffix = ".lock";
constexpr std::size_t random_digits = 8;
constexpr int most_tries = 16;

std::string random_name() {
  std::random_device random;
  std::array<char, random_digits + 1> text{};
  std::snprintf(text.data(), text.size(), "%08x", static_cast<unsigned>(random()));
  return std::string(text.data(), random_digits);
}

// "<prefix>xxxxxxxx": one of our directories; also with the suffix of a lock, which is then taken off.
bool is_ours(std::string& name, std::string_view prefix, bool& is_lock) {
  is_lock = name.ends_with(lock_suffix);
  if (is_lock) name.resize(name.size() - lock_suffix.size());
  return name.size() == prefix.size() + random_digits && name.starts_with(prefix) &&
         name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

}  // namespace

work_directory::work_directory(io::file_system fs, std::filesystem::path parent, std::string prefix, std::string operation)
    : fs_(std::move(fs)), parent_(std::move(parent)), prefix_(std::move(prefix)), operation_(std::move(operation)) {}

asio::awaitable<void> work_directory::make() {
  for (int i = 0; i < most_tries && path_.empty(); ++i) {
    const std::filesystem::path candidate = parent_ / (prefix_ + random_name());
    std::filesystem::path lock_path = candidate;
    lock_path += lock_suffix;
    calls::locked attempt = co_await calls::lock(fs_, lock_path);
    if (calls::is_held(attempt.ec)) continue;   // somebody who sweeps has it for a moment, or the same name
    calls::check(attempt.ec, operation_, lock_path);
    lock_ = std::move(attempt.lock);
    path_ = candidate;
    const std::error_code ec = co_await calls::make_directory(fs_, candidate);
    if (!ec) break;
    // Whatever has that name is not ours to clear.
    path_.clear();
    lock_.remove_and_release();
    if (!calls::is_taken(ec)) calls::check(ec, operation_, candidate);
  }
  if (path_.empty()) fail(std::make_error_code(std::errc::file_exists), operation_, parent_.string(), {}, "a free name");
  co_await sweep();
}

asio::awaitable<void> work_directory::sweep() {
  const calls::found mine = co_await calls::stat(fs_, path_);
  calls::check(mine.ec, operation_, path_);
  const calls::listing all = co_await calls::list(fs_, parent_);
  if (all.ec) co_return;   // a place that may be written but not read can still be used
  // A crash may have taken the name of either, the directory or its lock.
  std::set<std::string> left;
  for (const io::entry& e : all.entries) {
    std::string name = io::to_text(e.name);
    bool is_lock = false;
    if (!is_ours(name, prefix_, is_lock) || name == path_.filename().string()) continue;
    if (e.type == (is_lock ? io::entry_type::file : io::entry_type::directory)) left.insert(std::move(name));
  }
  for (const std::string& name : left) {
    const std::filesystem::path directory = parent_ / name;
    std::filesystem::path lock_path = directory;
    lock_path += lock_suffix;
    // The place may be everybody's (the system's temporary directory): what belongs to others is left alone.
    const std::uint32_t uid = mine.entry.facts.uid;
    const bool directory_ours = co_await is_free_or_ours(directory, io::entry_type::directory, uid);
    const bool lock_ours = co_await is_free_or_ours(lock_path, io::entry_type::file, uid);
    if (!directory_ours || !lock_ours) continue;
    // Its owner made the lock first and removes it last: once we have it, nobody else has the directory.
    calls::locked attempt = co_await calls::lock(fs_, lock_path);
    if (attempt.ec) continue;
    const std::error_code removed = co_await calls::remove_all(fs_, directory);
    if (!removed) attempt.lock.remove_and_release();
  }
}

asio::awaitable<bool> work_directory::is_free_or_ours(std::filesystem::path path, io::entry_type type, std::uint32_t uid) {
  const calls::found there = co_await calls::stat(fs_, path);
  if (calls::is_missing(there.ec)) co_return true;
  co_return !there.ec && there.entry.type == type && there.entry.facts.uid == uid;
}

asio::awaitable<std::error_code> work_directory::clear() {
  std::error_code ec;
  if (!path_.empty()) ec = co_await calls::remove_all(fs_, path_);
  if (ec) {
    lock_.release();
  } else {
    lock_.remove_and_release();
  }
  co_return ec;
}

}  // namespace contrail::operations
