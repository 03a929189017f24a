#include <contrail/backup.hpp>

#include "async/on_strand.hpp"
#include "failure.hpp"
#include "session/backup_session_access.hpp"

#include <contrail/io/buffer_pool.hpp>
#include <contrail/manifest.hpp>

#include <asio/error.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>

namespace contrail {
namespace {

using detail::session_access;

constexpr std::size_t least_memory = std::size_t{1} << 20;
constexpr std::size_t most_chunk = std::size_t{256} << 10;
constexpr std::size_t least_chunk = std::size_t{128} << 10;   // holds the largest page (64 KiB) and a trailer

struct pool_shape {
  std::size_t count = 0;
  std::size_t bytes_each = 0;
};

/// A quarter of the budget is left to lists, records and what the sink needs for itself.
pool_shape cut_pool(const backup_options& options) {
  if (options.lanes == 0) fail(errc::invalid_parameter, "back up", {}, {}, "at least one lane");
  if (options.memory < least_memory) {
    fail(errc::invalid_parameter, "back up", {}, {}, "at least " + std::to_string(least_memory) + " bytes of memory (1M)",
         std::to_string(options.memory));
  }
  const std::size_t budget = options.memory - options.memory / 4;
  pool_shape shape;
  shape.bytes_each = std::clamp(budget / options.lanes / 4096 * 4096, least_chunk, most_chunk);
  shape.count = std::min<std::size_t>(options.lanes, budget / shape.bytes_each);
  return shape;
}

/// One backup. Shared with the transfers, which refer to the writer and the pool.
struct backup_run {
  backup_run(engine& f, sink& t, const backup_options& o, std::shared_ptr<const manifest> p, detail::strand_type s)
      : from(f), to(t), options(o), parent(std::move(p)), strand(std::move(s)), progress(o.progress) {
    if (progress == nullptr) progress = &own_progress;
    const pool_shape shape = cut_pool(options);
    pool.emplace(strand, shape.count, shape.bytes_each);
    pages_before = progress->reads.pages.load();
    retried_before = progress->reads.pages_retried.load();
  }

  engine& from;
  sink& to;
  backup_options options;
  std::shared_ptr<const manifest> parent;
  detail::strand_type strand;
  struct progress own_progress;
  struct progress* progress;
  std::uint64_t pages_before = 0, retried_before = 0;
  std::optional<io::buffer_pool> pool;
  backup_session session;
  std::unique_ptr<set_writer> writer;
  std::vector<database_info> chosen;
  manifest info;
  backup_report report;
};
using run_ptr = std::shared_ptr<backup_run>;

/// What can be refused before the engine is asked.
void check_request(const backup_run& run) {
  const engine_traits& traits = run.from.traits();
  const kind what = run.options.what;
  if (run.options.truncate_logs && !traits.truncate) {
    fail(errc::invalid_parameter, "back up", {}, {}, {}, "the engine " + traits.name + " has no logs that a backup could delete");
  }
  if (run.options.truncate_logs && (what == kind::copy || what == kind::differential)) {
    fail(errc::invalid_parameter, "back up", {}, {}, {}, "a backup of kind " + std::string(to_string(what)) + " must not delete logs");
  }
}

std::vector<database_info> choose(const backup_run& run, std::vector<database_info> all) {
  if (run.options.databases.empty()) return all;
  std::vector<database_info> chosen;
  for (const std::string_view name : run.options.databases) {
    const auto at = std::find_if(all.begin(), all.end(), [name](const database_info& d) { return d.name == name || d.restore_name == name; });
    if (at == all.end()) fail(errc::database_not_found, "back up", std::string(name), {}, "a database of this engine");
    const bool twice = std::any_of(chosen.begin(), chosen.end(), [&at](const database_info& d) { return d.id == at->id; });
    if (!twice) chosen.push_back(*at);
  }
  return chosen;
}

asio::awaitable<void> begin(run_ptr run) {
  const engine_traits& traits = run->from.traits();
  session_options options;
  options.what = run->options.what;
  options.reads = run->options.reads;
  options.events = run->options.events;
  options.progress = run->progress;
  options.max_pin_age = run->options.max_pin_age;
  options.max_log_growth = run->options.max_log_growth;
  backup_session session = co_await session_access::begin(run->from, options, run->parent, run->strand);
  run->session = std::move(session);

  const bool chained = is_chained(run->options.what);
  if (chained && !run->parent) fail(errc::missing_full_backup, "back up", {}, {}, "the backup set to build on");
  const bool by_logs = chained && traits.incremental;
  if (!by_logs) {
    std::vector<database_info> all = co_await run->session.databases();
    run->chosen = choose(*run, std::move(all));
    if (run->chosen.empty()) fail(errc::database_not_found, "back up", {}, {}, "a database to back up", "none");
  }
}

asio::awaitable<void> begin_set(run_ptr run) {
  manifest& info = run->info;
  const engine_traits& traits = run->from.traits();
  info.set = make_set_id();
  info.what = run->options.what;
  info.engine = traits.name;
  info.engine_version = traits.version;
  if (is_chained(info.what) && run->parent) {
    info.parent = run->parent->set;
    info.parent_mark = run->parent->at;
  }
  set_header header;
  header.set = info.set;
  header.engine = info.engine;
  header.what = info.what;
  if (is_chained(info.what)) header.parent = run->parent;
  std::unique_ptr<set_writer> writer = co_await run->to.begin(header);
  run->writer = std::move(writer);
}

/// A database that cannot be read is left out; the others go on.
asio::awaitable<void> copy_databases(run_ptr run, transfer_options how) {
  manifest& info = run->info;
  std::exception_ptr first;
  for (const database_info& d : run->chosen) {
    std::exception_ptr failure;
    try {
      co_await session_access::copy(run->session, d.id, *run->writer, *run->pool, how, run);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure) {
      const bool alone = co_await run->session.failed(d.id);
      if (!alone) std::rethrow_exception(failure);
      run->report.failed_databases.emplace_back(d.name, detail::code_of(failure));
      if (!first) first = failure;
      continue;
    }
    manifest_database entry;
    entry.name = d.name;
    entry.restore_name = d.restore_name;
    entry.signature = d.signature;
    entry.pages = d.pages;
    entry.page_bytes = d.page_bytes;
    info.pages += d.pages;
    if (info.databases.empty()) {
      info.signature = d.signature;
      info.page_bytes = d.page_bytes;
    }
    info.databases.push_back(std::move(entry));
  }
  if (first && info.databases.empty()) std::rethrow_exception(first);
}

asio::awaitable<void> copy_all(run_ptr run) {
  manifest& info = run->info;
  transfer_options how;
  how.lanes = static_cast<unsigned>(run->pool->count());
  how.rate_limit = run->options.rate_limit;
  if (!run->chosen.empty()) {
    co_await copy_databases(run, how);
  } else if (run->parent) {
    info.databases = run->parent->databases;
    info.signature = run->parent->signature;
    info.page_bytes = run->parent->page_bytes;
  }
  const log_range logs = co_await run->session.prepare_logs();
  info.logs = logs;
  const mark at = co_await run->session.marked();
  info.at = at;
  co_await session_access::copy_logs(run->session, *run->writer, *run->pool, how, run);
  std::string state = co_await run->session.state();
  info.engine_state = std::move(state);
}

/// From here on cancellation is disabled, and nothing that fails makes the set worse.
asio::awaitable<void> commit_and_end(run_ptr run) {
  using namespace std::chrono;
  run->info.created_unix_ns = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
  // What needs memory comes first: once the set is there, nothing must turn it into a failure.
  run->report.set = run->info.set;
  run->report.what = run->info.what;
  run->report.engine = run->info.engine;
  co_await run->writer->commit(run->info);
  if (run->options.truncate_logs) {
    try {
      const log_range deleted = co_await run->session.truncate_logs();
      run->report.truncated = deleted;
    } catch (...) {
      run->report.truncation = detail::code_of(std::current_exception());
    }
  }
  try {
    const std::error_code recorded = co_await run->session.end(backup_session::ending::normal);
    run->report.recorded = recorded;
  } catch (...) {
    run->report.recorded = detail::code_of(std::current_exception());
  }
}

/// Numbers only: nothing may fail any more.
void fill_report(backup_run& run, std::chrono::steady_clock::time_point began) noexcept {
  backup_report& report = run.report;
  report.files = run.info.files;
  report.bytes = run.info.bytes;
  report.pages = run.progress->reads.pages.load() - run.pages_before;
  report.pages_retried = run.progress->reads.pages_retried.load() - run.retried_before;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

asio::awaitable<backup_report> run_backup(engine* from, sink* to, backup_options options, std::shared_ptr<const manifest> parent,
                                          detail::strand_type strand) {
  const auto began = std::chrono::steady_clock::now();
  const auto run = std::make_shared<backup_run>(*from, *to, options, std::move(parent), std::move(strand));
  check_request(*run);
  std::exception_ptr failure;
  try {
    co_await begin(run);
    co_await begin_set(run);
    co_await copy_all(run);
    // A cancellation that came so far is thrown by this await; none is seen after it.
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::throw_if_cancelled(true);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) throw std::system_error(asio::error::operation_aborted);
    co_await asio::this_coro::reset_cancellation_state(disabled);
    co_await commit_and_end(run);
  } catch (...) {
    failure = std::current_exception();
  }
  const auto disabled = asio::disable_cancellation();
  co_await asio::this_coro::reset_cancellation_state(disabled);
  // The engine first: a sink that takes its time to clean up must not keep the pin.
  co_await run->session.abort();
  if (failure && run->writer) {
    try {
      co_await run->writer->abort();
    } catch (...) {
      // The first error is the one to be told; what abort left behind the sink cleans up later.
    }
  }
  if (failure) detail::rethrow_described(failure, "back up");
  run->writer.reset();
  fill_report(*run, began);
  backup_report report = std::move(run->report);
  co_return report;
}

}  // namespace

asio::awaitable<backup_report> backup(engine& from, sink& to, backup_options options, std::shared_ptr<const manifest> parent) {
  const auto strand = asio::make_strand(from.get_executor());
  auto control = detail::make_control(strand);
  auto work = run_backup(&from, &to, options, std::move(parent), strand);
  return detail::on_strand(std::move(control), std::move(work));
}

}  // namespace contrail
