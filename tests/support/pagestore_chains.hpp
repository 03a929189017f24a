#pragma once

#include "support/pagestore_bookkeeping.hpp"

#include "async/task_group.hpp"

#include <contrail/manifest.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <catch2/catch.hpp>

#include <functional>

/// A store whose sets build on one another, and what each must be restored to.
namespace pagestore_chains {

using namespace pagestore_books;
using contrail::backup_options;
using contrail::backup_report;
using contrail::directory_repository;
using contrail::kind;
using contrail::manifest;

using manifest_ptr = std::shared_ptr<const manifest>;

class registry final : public contrail::restorer_registry {
 public:
  explicit registry(asio::any_io_executor ex) : one_(std::move(ex)) {}
  contrail::restorer* find(std::string_view engine) override { return engine == one_.engine() ? &one_ : nullptr; }

 private:
  contrail::pagestore_restorer one_;
};

struct kept_set {
  manifest_ptr info;
  state expected;
};

/// A store through its lives, and a repository with its sets.
class history {
 public:
  history(std::uint64_t seed, const std::filesystem::path& directory) : all(seed), how(small_store(directory / "store", all.random)), repo(directory / "repo") {
    how.circular_logging = false;
  }

  asio::awaitable<void> make(instance& store) {
    for (const char* name : {"one.db", "two.db", "three.db"}) {
      const database d = co_await store.create(name);
      all.databases.emplace_back(name, d);
    }
    for (unsigned i = 0; i < 60; ++i) co_await one_transaction(store, all);
  }
  asio::awaitable<void> attach_all(instance& store) {
    for (auto& [name, id] : all.databases) id = co_await store.attach(name);
  }
  /// Some writers, and while they write this.
  asio::awaitable<void> beside(instance& store, unsigned writers, std::function<asio::awaitable<void>()> what) {
    all.stop = false;
    const auto mine = co_await asio::this_coro::executor;
    contrail::detail::task_group group(mine);
    for (unsigned i = 0; i < writers; ++i) group.spawn(keep_writing(store, all));
    group.spawn(until_done(what));
    co_await group.join();
  }
  /// The code of a backup that is refused; else it is among the sets.
  asio::awaitable<std::error_code> back_up(instance& store, kind what, bool truncate, manifest_ptr parent) {
    const auto ex = co_await asio::this_coro::executor;
    directory_repository to(ex, repo);
    backup_options options;
    options.what = what;
    options.truncate_logs = truncate;
    std::error_code refused;
    backup_report report;
    try {
      report = co_await contrail::backup(store.backup_engine(), to, options, parent);
    } catch (const contrail::error& e) {
      refused = e.code();
      UNSCOPED_INFO(e.what());
    }
    if (refused) co_return refused;
    CHECK_FALSE(report.recorded);
    CHECK_FALSE(report.truncation);
    kept_set one;
    {
      const std::unique_ptr<contrail::set_reader> reader = co_await to.open(report.set, std::size_t{4} << 20U);
      one.info = reader->info();
    }
    one.expected = all.before(make_lgpos(static_cast<std::uint32_t>(one.info->logs.end), 0));
    if (what == kind::full) full = one.info;
    if (what == kind::full || what == kind::incremental) newest = one.info;
    sets.push_back(std::move(one));
    co_return std::error_code();
  }
  asio::awaitable<std::error_code> add(instance& store, kind what, bool truncate = false) {
    const manifest_ptr parent = what == kind::incremental ? newest : what == kind::differential ? full : nullptr;
    const std::error_code code = co_await back_up(store, what, truncate, parent);
    co_return code;
  }
  asio::awaitable<void> good(instance& store, kind what, bool truncate = false) {
    const std::error_code code = co_await add(store, what, truncate);
    CHECK(code == std::error_code());
  }
  asio::awaitable<void> refused(instance& store, kind what, manifest_ptr parent, errc expected = errc::missing_full_backup) {
    const std::error_code code = co_await back_up(store, what, false, parent);
    CHECK(code == expected);
  }
  /// What a set is restored to, where that is not refused.
  std::error_code restored(const std::string& set, const std::filesystem::path& into, state& found) const {
    std::error_code refused;
    asio::io_context context(1);
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const auto ex = context.get_executor();
      directory_repository from(ex, repo);
      contrail::pagestore_restorer restorer(ex);
      contrail::restore_options options;
      options.set = set;
      try {
        const contrail::restore_report done = co_await contrail::restore(from, restorer, into, options);
        CHECK(done.set == set);
        CHECK(done.files == all.databases.size());
      } catch (const contrail::error& e) {
        refused = e.code();
        UNSCOPED_INFO(e.what());
      }
    });
    if (!refused) found = read_restored(into, all.databases);
    return refused;
  }
  void check_all(const std::filesystem::path& below) const {
    std::filesystem::create_directories(below);
    for (std::size_t i = 0; i < sets.size(); ++i) {
      CAPTURE(i, to_string(sets[i].info->what));
      state found;
      CHECK(restored(sets[i].info->set, below / ("restored" + std::to_string(i)), found) == std::error_code());
      CHECK(found.size() > 20);
      CHECK(pagestore_world::describe_difference(sets[i].expected, found) == "; against the last:");
    }
  }
  /// Damage of all sets, in words; with their proof.
  std::string proof(bool prove, const std::filesystem::path& scratch) const {
    std::string out;
    asio::io_context context(1);
    std::filesystem::create_directories(scratch);
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const auto ex = context.get_executor();
      directory_repository of(ex, repo);
      registry provers(ex);
      contrail::verify_options options;
      options.set = "all";
      options.scratch = &scratch;
      contrail::restorer_registry* const with = prove ? &provers : nullptr;
      const contrail::verify_report report = co_await contrail::verify(of, with, options);
      for (const contrail::verify_entry& e : report.sets) {
        for (const contrail::file_damage& d : e.damage) out += e.set + ": " + d.what + "\n";
        CHECK(e.proven == (prove && e.damage.empty()));
      }
    });
    CHECK(std::filesystem::is_empty(scratch));
    return out;
  }

  books all;
  parameters how;
  std::filesystem::path repo;
  std::vector<kept_set> sets;
  manifest_ptr full, newest;

 private:
  asio::awaitable<void> until_done(std::function<asio::awaitable<void>()> what) {
    std::exception_ptr failure;
    try {
      co_await what();
    } catch (...) {
      failure = std::current_exception();
    }
    all.stop = true;
    if (failure) std::rethrow_exception(failure);
  }
};

inline void on(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> { co_await what(context.get_executor()); });
}

inline asio::awaitable<void> some(instance& store, books& b, unsigned count = 30) {
  for (unsigned i = 0; i < count; ++i) co_await one_transaction(store, b);
}

}  // namespace pagestore_chains
