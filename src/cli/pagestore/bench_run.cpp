#include "cli/pagestore/bench_run.hpp"

#include "cli/backup_talk.hpp"
#include "cli/nesting.hpp"
#include "cli/pagestore/bank_store.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace contrail::cli {

namespace {

using pagestore::remembered_backup;

/// Finds the sets that incremental and differential backups build on, as the databases remember them.
class parents {
 public:
  parents(directory_repository* in, const pagestore::store_facts& facts) : in_(in) {
    if (!facts.databases.empty()) {
      const pagestore::database_facts& one = facts.databases.front();
      database_ = store::text_of(one.identity);
      full_ = mark_of(one.full);
      incremental_ = mark_of(one.incremental);
    }
  }

  /// Null: there is none, which the backup answers.
  asio::awaitable<std::shared_ptr<const manifest>> of(kind what);
  /// After a backup.
  asio::awaitable<void> note(kind what, std::string set);

 private:
  static mark mark_of(const std::optional<remembered_backup>& one) { return one ? one->at : mark(); }
  bool is(const manifest& set, kind what, mark at) const;

  directory_repository* in_;
  std::string database_;       ///< signature, as manifests have it
  mark full_, incremental_;    ///< position 0: none
};

/// Another store may have a backup with a mark at the same place, and so may this one, before it was restored.
bool parents::is(const manifest& set, kind what, mark at) const {
  const auto same = [this](const manifest_database& one) { return one.signature == database_; };
  return set.engine == "pagestore" && set.what == what && set.at == at && std::any_of(set.databases.begin(), set.databases.end(), same);
}

asio::awaitable<std::shared_ptr<const manifest>> parents::of(kind what) {
  const bool on_full = what == kind::differential || full_.position > incremental_.position;
  const kind base = on_full ? kind::full : kind::incremental;
  const mark wanted = on_full ? full_ : incremental_;
  if (!is_chained(what) || wanted.position == 0) {
    co_return nullptr;
  }
  std::exception_ptr failed;
  std::vector<set_entry> sets;
  try {
    sets = co_await in_->list();
  } catch (...) {
    failed = std::current_exception();   // the backup itself will say what is wrong with that place
  }
  for (auto entry = sets.rbegin(); entry != sets.rend(); ++entry) {   // the newest first
    if (entry->info && is(*entry->info, base, wanted)) {
      co_return entry->info;
    }
  }
  co_return nullptr;
}

asio::awaitable<void> parents::note(kind what, std::string set) {
  if (what != kind::full && what != kind::incremental) {
    co_return;
  }
  constexpr std::size_t memory = std::size_t{1} << 20;
  const std::unique_ptr<set_reader> reader = co_await in_->open(std::move(set), memory);
  const mark at = reader->info()->at;
  if (what == kind::full) {
    full_ = at;
    incremental_ = mark();
  } else {
    incremental_ = at;
  }
}

/// One run of the bench, on one thread.
class bench {
 public:
  bench(io::file_system files, const store_arguments& given, console& out)
      : files_(std::move(files)), given_(given), out_(out), repository_(files_, given.repository), events_(out, false) {
    repository_.on_swept = [&out](const std::string& partial) {
      out.note(fmt::format("removed {}, which an interrupted backup had left behind", partial));
    };
  }
  asio::awaitable<bench_result> run(progress* counters);

 private:
  asio::awaitable<void> under_load(store::opened* in, progress* counters);
  asio::awaitable<void> measure(store_bank::load* load, engine* from, progress* counters);
  asio::awaitable<void> back_up(engine* from, parents* known, kind what, progress* counters);
  asio::awaitable<bool> wait_for(const bool* done, asio::steady_timer* ended);

  io::file_system files_;
  const store_arguments& given_;
  console& out_;
  directory_repository repository_;
  event_printer events_;
  pagestore::store_facts facts_;
  bench_result result_;
};

asio::awaitable<void> bench::back_up(engine* from, parents* known, kind what, progress* counters) {
  const std::shared_ptr<const manifest> parent = co_await known->of(what);
  backup_options options;
  options.what = what;
  options.truncate_logs = given_.truncate_logs && (what == kind::full || what == kind::incremental);
  options.rate_limit = given_.rate_limit;
  options.events = &events_;
  options.progress = counters;
  made_backup made;
  made.report = co_await backup(*from, repository_, options, parent);
  made.parent = parent ? parent->set : std::string();
  tell_remarks(made.report, out_);
  const std::string set = made.report.set;
  result_.backups.push_back(std::move(made));
  co_await known->note(what, set);
}

asio::awaitable<void> bench::measure(store_bank::load* load, engine* from, progress* counters) {
  const auto ex = co_await asio::this_coro::executor;
  asio::steady_timer time(ex, std::chrono::seconds(given_.seconds));
  co_await time.async_wait(asio::use_awaitable);
  result_.before = load->take_lap();
  result_.acknowledged_before = load->acknowledged();
  if (given_.repository.empty()) {
    co_return;
  }
  parents known(&repository_, facts_);
  parents* const all = &known;
  for (unsigned i = 0; i < given_.backups; ++i) {
    const kind what = given_.kinds[i % given_.kinds.size()];
    co_await back_up(from, all, what, counters);
  }
  result_.during = load->take_lap();
  result_.acknowledged_after = load->acknowledged();
}

/// True when it was cancelled meanwhile; waits no less.
asio::awaitable<bool> bench::wait_for(const bool* done, asio::steady_timer* ended) {
  const auto result = co_await ended->async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  static_cast<void>(result);
  co_return !*done;
}

asio::awaitable<void> bench::under_load(store::opened* in, progress* counters) {
  const auto ex = co_await asio::this_coro::executor;
  const std::optional<store_bank::bank> bank = co_await store_bank::find(in);
  if (!bank) {
    fail(errc::database_not_found, "look for the bank", io::to_text(given_.directory), {}, "a bank, which contrail pagestore create makes", "none");
  }
  result_.accounts = bank->accounts();
  result_.databases = bank->databases().size();
  const store_bank::bank* const of = &*bank;
  store_bank::load load(ex, &in->running, of, given_.writers, given_.pause);
  if (given_.acks) {
    load.on_durable = [this](unsigned writer, std::uint64_t sequence) { out_.print_line(fmt::format("{} {}\n", writer, sequence)); };
  }
  // Measuring and backups are stopped by a signal, and by a writer that fails; the writers then end their transactions.
  asio::cancellation_signal stop;
  asio::steady_timer ended(ex, asio::steady_timer::time_point::max());
  std::exception_ptr failed;
  bool done = false;
  load.on_failure = [&stop, &done] {
    if (!done) {
      stop.emit(asio::cancellation_type::terminal);
    }
  };
  co_await load.start();
  auto measured = [&failed, &done, &ended](std::exception_ptr e) {
    failed = std::move(e);
    done = true;
    ended.cancel();
  };
  engine* const from = &in->running.backup_engine();
  asio::co_spawn(ex, measure(&load, from, counters), asio::bind_cancellation_slot(stop.slot(), std::move(measured)));
  const bool* const until = &done;
  asio::steady_timer* const timer = &ended;
  const bool cancelled = co_await wait_for(until, timer);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (cancelled) {
    stop.emit(asio::cancellation_type::terminal);
  }
  while (!done) {
    const bool again = co_await wait_for(until, timer);
    static_cast<void>(again);
  }
  load.stop();
  co_await load.join();   // what a writer has met comes first
  if (failed) {
    std::rethrow_exception(failed);
  }
}

asio::awaitable<bench_result> bench::run(progress* counters) {
  if (!given_.repository.empty()) {
    refuse_inside(given_.repository, given_.directory, "bench", "a repository outside of the store", "one inside, where it would be taken for a part of it");
  }
  const pagestore::store_facts facts = co_await pagestore::inspect(files_, given_.directory);
  store::open_options options;
  options.circular = given_.circular;
  store::opened opened = co_await store::open(files_, facts, options);
  facts_ = opened.facts;
  store::opened* const in = &opened;
  std::exception_ptr failed;
  try {
    co_await under_load(in, counters);
  } catch (...) {
    failed = std::current_exception();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::exception_ptr ending;
  try {
    co_await opened.running.terminate();
  } catch (...) {
    ending = std::current_exception();
  }
  for (const std::exception_ptr& one : {failed, ending}) {
    if (one) {
      tell_sets(result_, out_);
      std::rethrow_exception(one);
    }
  }
  co_return std::move(result_);
}

}  // namespace

void tell_sets(const bench_result& result, console& out) {
  for (const made_backup& one : result.backups) {
    out.note(fmt::format("set {} is complete", one.report.set));
  }
}

asio::awaitable<bench_result> run_bench(io::file_system files, const store_arguments* given, console* out, progress* counters) {
  bench work(std::move(files), *given, *out);
  bench_result done = co_await work.run(counters);
  co_return done;
}

}  // namespace contrail::cli
