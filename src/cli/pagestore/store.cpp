#include "cli/pagestore/store.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

namespace contrail::cli::store {

namespace {

/// Without logs nothing can be recovered: a database must be whole as it is.
void require_clean(const pagestore::store_facts& facts) {
  for (const pagestore::database_facts& one : facts.databases) {
    if (facts.first_generation == 0 && one.problem.empty() && one.state != "clean") {
      fail(errc::database_dirty_shutdown, "open the store", io::to_text(facts.how.directory / one.path), {},
           "the logs that it was last used with", "a directory without logs");
    }
  }
}

/// Before any is attached: that clears what the original remembers of backups when it is the copy's turn first.
void require_distinct(const pagestore::store_facts& facts) {
  for (auto one = facts.databases.begin(); one != facts.databases.end(); ++one) {
    const auto same = [one](const pagestore::database_facts& other) { return other.identity == one->identity; };
    const bool known = one->identity != pagestore::signature();   // its header could be read
    const auto twin = known ? std::find_if(facts.databases.begin(), one, same) : one;
    if (twin != one) {
      fail(errc::database_in_use, "open the store", io::to_text(facts.how.directory / one->path), {}, "databases that are there once each",
           fmt::format("the same one as {}; keep copies elsewhere, for their changes could not be told apart", name_of(*twin)));
    }
  }
}

/// Before anything is written: of a set nothing may be changed.
void require_own(const pagestore::store_facts& facts) {
  std::error_code ignored;
  if (std::filesystem::exists(facts.how.directory / "manifest.json", ignored)) {   // also one of logs alone
    fail(errc::soft_recovery_on_backup_database, "open the store", io::to_text(facts.how.directory), {}, "a store", "a backup set; restore it");
  }
  for (const pagestore::database_facts& one : facts.databases) {
    if (one.copy) {
      fail(errc::soft_recovery_on_backup_database, "open the store", io::to_text(facts.how.directory / one.path), {}, "a database",
           "a copy in a backup set; restore the set");
    }
  }
}

/// Those that recovery has found attached at the end of the logs, which neither a log's header nor the checkpoint may list.
void add_recovered(pagestore::store_facts& facts, const std::vector<std::string>& recovered) {
  for (const std::string& name : recovered) {
    const auto same = [&name](const pagestore::database_facts& one) { return name_of(one) == name; };
    if (std::none_of(facts.databases.begin(), facts.databases.end(), same)) {
      pagestore::database_facts one;
      one.path = io::to_path(name);
      facts.databases.push_back(std::move(one));
    }
  }
}

void require_few(const pagestore::store_facts& facts) {
  if (facts.databases.size() > pagestore::most_databases) {
    fail(errc::invalid_parameter, "open the store", io::to_text(facts.how.directory), {},
         fmt::format("at most {} databases, which an instance can have open at once", pagestore::most_databases),
         fmt::format("{}", facts.databases.size()));
  }
}

}  // namespace

std::string name_of(const pagestore::database_facts& one) {
  return io::to_text(one.path.generic_string());
}

std::string text_of(const pagestore::signature& identity) { return fmt::format("{:016x}-{:016x}", identity.random, identity.created); }

asio::awaitable<opened> open(io::file_system files, pagestore::store_facts facts, open_options options) {
  require_own(facts);
  require_distinct(facts);
  require_few(facts);
  require_clean(facts);
  const auto ex = co_await asio::this_coro::executor;
  pagestore::parameters how = facts.how;
  how.circular_logging = options.circular;
  opened out;
  out.running = co_await pagestore::instance::open(ex, how, &files);
  std::exception_ptr failed;
  try {
    // Once more: only recovery has read in the logs what was attached behind the last checkpoint, and it leaves a checkpoint that lists it.
    const std::filesystem::path directory = facts.how.directory;
    pagestore::store_facts found = co_await pagestore::inspect(files, directory);
    if (options.readable_only) {
      std::erase_if(found.databases, [](const pagestore::database_facts& one) { return !one.problem.empty(); });
    }
    add_recovered(found, out.running.recovered().databases);
    require_own(found);
    require_distinct(found);
    require_few(found);
    for (const pagestore::database_facts& one : found.databases) {
      const std::filesystem::path path = one.path;
      const pagestore::database id = co_await out.running.attach(path);
      out.databases.emplace_back(name_of(one), id);
    }
    out.facts = std::move(found);
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    try {
      co_await out.running.terminate();
    } catch (...) {
      // What kept it from being opened is what matters.
    }
    std::rethrow_exception(failed);
  }
  co_return out;
}

}  // namespace contrail::cli::store
