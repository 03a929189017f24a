#include <contrail/sinks/directory.hpp>

#include <contrail/error.hpp>
#include "async/file_calls.hpp"
#include "sinks/directory/layout.hpp"
#include "sinks/directory/parents.hpp"
#include "sinks/directory/set_reader.hpp"
#include "sinks/directory/set_writer.hpp"

#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <utility>

namespace contrail {

using directory::building_site;

namespace {

constexpr std::chrono::milliseconds own_lock_pause{5};
constexpr int own_lock_tries = 200;

// "repo/" is "repo", so that its name and the directory above it can be told.
std::filesystem::path without_slash(std::filesystem::path path) {
  while (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return path;
}

// Makes the directory when it is missing; true when it did. Fails when it cannot be a repository.
asio::awaitable<bool> provide_directory(io::file_system fs, const std::filesystem::path& path) {
  const std::string operation = "open repository";
  const calls::listing there = co_await calls::list(fs, path);
  if (!there.ec) co_return false;
  if (there.ec == std::errc::not_a_directory) {
    fail(errc::not_a_repository, operation, path.string(), {}, "a directory", "a file");
  }
  if (!calls::is_missing(there.ec)) calls::check(there.ec, operation, path);
  const std::error_code made = co_await calls::make_directory(fs, path);
  if (!made) co_return true;
  if (calls::is_missing(made)) {
    // Some systems say "not a directory" at once, some only that the way leads nowhere.
    const std::filesystem::path above = calls::directory_of(path);
    const calls::found what = co_await calls::stat(fs, above);
    if (!what.ec && what.entry.type == io::entry_type::file) {
      fail(errc::not_a_repository, operation, path.string(), {}, "a directory above it", "a file");
    }
    fail(made, "make repository", path.string(), {}, "a directory above it", "none; make it first");
  }
  if (calls::is_taken(made)) {
    const calls::found what = co_await calls::stat(fs, path);
    if (!what.ec && what.entry.type == io::entry_type::link) {
      fail(errc::not_a_repository, operation, path.string(), {}, "a directory", "a link that leads nowhere");
    }
    co_return false;   // somebody else was faster
  }
  calls::check(made, "make repository", path);
  co_return false;
}

// The lock comes before the directory that it guards: a directory without a lock that is held is nobody's.
asio::awaitable<void> occupy(io::file_system fs, building_site& site) {
  const auto ex = co_await asio::this_coro::executor;
  const std::string operation = "begin set " + site.set;
  const std::filesystem::path lock_path = directory::partial_lock_path(site.repository, site.set);
  asio::steady_timer timer(ex);
  for (int i = 0;; ++i) {
    calls::locked attempt = co_await calls::lock(fs, lock_path);
    if (!attempt.ec) {
      site.lock = std::move(attempt.lock);
      break;
    }
    // Another backup that sweeps may hold a fresh lock for a moment, or may take away a repository that it made itself.
    const bool again = i < own_lock_tries && (calls::is_held(attempt.ec) || calls::is_missing(attempt.ec));
    if (!again) calls::check(attempt.ec, operation, lock_path);
    if (calls::is_missing(attempt.ec)) {
      const bool made = co_await provide_directory(fs, site.repository);
      site.made_repository = made || site.made_repository;
    }
    timer.expires_after(own_lock_pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
  const std::filesystem::path partial = directory::partial_path(site.repository, site.set);
  const std::error_code made = co_await calls::make_directory(fs, partial);
  calls::check(made, operation, partial);
}

// Removes what killed backups left. Only what is a set being built, and whose lock is free, is touched; the lock is held meanwhile.
asio::awaitable<std::vector<std::string>> sweep(io::file_system fs, const std::filesystem::path& repository) {
  std::vector<std::string> swept;
  const directory::content all = co_await directory::scan(fs, repository, "open repository");
  std::vector<std::string> candidates = all.partials;
  candidates.insert(candidates.end(), all.locks.begin(), all.locks.end());
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const std::string& set : candidates) {
    const std::filesystem::path lock_path = directory::partial_lock_path(repository, set);
    calls::locked attempt = co_await calls::lock(fs, lock_path);
    if (attempt.ec) continue;
    // Since the list was read its owner may have ended, and removed or committed it.
    const std::filesystem::path partial = directory::partial_path(repository, set);
    const calls::found there = co_await calls::stat(fs, partial);
    if (there.ec) {
      if (calls::is_missing(there.ec)) attempt.lock.remove_and_release();
      continue;
    }
    // A commit that failed may have renamed it, and back: on the disk it may still be a set, which must not lose its content.
    const std::error_code named = co_await calls::sync_directory(fs, repository);
    if (named) continue;
    const std::error_code removed = co_await calls::remove_all(fs, partial);
    if (removed) continue;
    attempt.lock.remove_and_release();
    swept.push_back(partial.filename().string());
  }
  co_return swept;
}

// Before hours of copying, and before anything is made here.
asio::awaitable<void> find_parent(io::file_system fs, std::filesystem::path repository, set_header header) {
  if (header.parent == nullptr) fail(errc::missing_full_backup, "begin set " + header.set, repository.string(), {}, "the set to build on", "none");
  manifest child;
  child.set = header.set;
  child.what = header.what;
  child.engine = header.engine;
  child.parent = header.parent->set;
  child.parent_mark = header.parent->at;
  child.sequence = std::numeric_limits<std::uint64_t>::max();   // it has none yet
  io::buffer_pool texts(fs.get_executor(), 1, directory::text_buffer_bytes);
  co_await directory::require_parents(fs, texts, std::move(repository), std::move(child), header.parent, "begin set " + header.set);
}

asio::awaitable<std::unique_ptr<set_writer>> begin_set(io::file_system fs, std::filesystem::path repository, set_header header,
                                                       const std::function<void(const std::string&)>& on_swept) {
  if (is_chained(header.what)) co_await find_parent(fs, repository, header);
  building_site site;
  site.repository = std::move(repository);
  site.set = header.set;
  std::exception_ptr failure;
  try {
    site.made_repository = co_await provide_directory(fs, site.repository);
    if (!site.made_repository) {
      const std::vector<std::string> swept = co_await sweep(fs, site.repository);
      if (on_swept) {
        for (const std::string& name : swept) on_swept(name);
      }
    }
    co_await occupy(fs, site);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (site.lock) {
      co_await directory::clear_site(fs, site);
    } else if (site.made_repository) {
      const std::error_code ignored = co_await calls::remove(fs, site.repository);
      (void)ignored;
    }
    std::rethrow_exception(failure);
  }
  std::unique_ptr<set_writer> writer = std::make_unique<directory::set_writer>(fs, std::move(site), header.parent);
  co_return writer;
}

}  // namespace

directory_repository::directory_repository(asio::any_io_executor ex, std::filesystem::path directory)
    : directory_repository(io::file_system::of(std::move(ex)), std::move(directory)) {}
directory_repository::directory_repository(io::file_system files, std::filesystem::path directory)
    : files_(std::move(files)), directory_(without_slash(std::move(directory))) {}
directory_repository::~directory_repository() = default;

asio::awaitable<std::unique_ptr<set_writer>> directory_repository::begin(const set_header& header) {
  if (!is_set_id(header.set)) fail(errc::invalid_parameter, "begin set", header.set, {}, "the id of a set");
  // In a coroutine of its own: what it does to the state of cancellation is not the caller's business.
  const auto ex = co_await asio::this_coro::executor;
  asio::awaitable<std::unique_ptr<set_writer>> body = begin_set(files_, directory_, header, on_swept);
  std::unique_ptr<set_writer> writer = co_await asio::co_spawn(ex, std::move(body), asio::use_awaitable);
  co_return writer;
}

asio::awaitable<std::vector<set_entry>> directory_repository::list() {
  const std::string operation = "list repository";
  const directory::content all = co_await directory::scan(files_, directory_, operation);
  io::buffer_pool texts(files_.get_executor(), 1, directory::text_buffer_bytes);
  std::vector<set_entry> out;
  for (const std::string& set : all.sets) {
    set_entry entry;
    entry.set = set;
    std::error_code failed;
    try {
      manifest m = co_await directory::read_manifest(files_, texts, directory_, set, operation);
      entry.info = std::make_shared<const manifest>(std::move(m));
      entry.status = set_status::complete;
    } catch (const error& e) {
      if (calls::is_cancelled(e.code())) throw;
      failed = e.code();
      entry.why = e.what();
    }
    if (failed == errc::set_not_found) continue;   // removed since the directory was read
    out.push_back(std::move(entry));
  }
  std::sort(out.begin(), out.end(), [](const set_entry& a, const set_entry& b) {
    if ((a.info == nullptr) != (b.info == nullptr)) return a.info != nullptr;
    if (a.info != nullptr && a.info->sequence != b.info->sequence) return a.info->sequence < b.info->sequence;
    return a.set < b.set;
  });
  for (const std::string& set : all.partials) {
    // One without a lock's file, or with one that is free, is rubbish: the next backup removes it.
    if (std::find(all.locks.begin(), all.locks.end(), set) == all.locks.end()) continue;
    const std::filesystem::path lock_path = directory::partial_lock_path(directory_, set);
    calls::locked attempt = co_await calls::lock(files_, lock_path);
    if (!attempt.ec) {
      // Free: nobody writes. When its writer has ended since the directory was read, the lock's file is one that we made just now.
      const calls::found there = co_await calls::stat(files_, directory::partial_path(directory_, set));
      if (calls::is_missing(there.ec)) attempt.lock.remove_and_release();
    }
    if (!calls::is_held(attempt.ec)) continue;
    set_entry entry;
    entry.set = set;
    entry.status = set_status::in_progress;
    out.push_back(std::move(entry));
  }
  co_return out;
}

asio::awaitable<std::unique_ptr<set_reader>> directory_repository::open(std::string set, std::size_t memory) {
  if (set == "latest") {
    const std::vector<set_entry> all = co_await list();
    const set_entry* newest = latest_of(all);
    if (newest == nullptr) fail(errc::set_not_found, "open set", directory_.string(), {}, "a set", "none");
    set = newest->set;
  } else if (!is_set_id(set)) {
    fail(errc::set_not_found, "open set", directory_.string(), {}, "the id of a set, or \"latest\"", set);
  }
  std::unique_ptr<set_reader> reader = co_await directory::set_reader::open(files_, directory_, set, memory);
  co_return reader;
}

}  // namespace contrail
