#include "session/session_calls.hpp"

#include "transfer/transfer.hpp"

#include <algorithm>
#include <optional>

namespace contrail::detail {
namespace {

constexpr std::size_t strict_alignment = 4096;
constexpr std::size_t strict_first_pages = 3;   ///< two headers and a page (ESE specification, section 3.4)

/// One reader of the open file at a time.
class busy_mark {
 public:
  explicit busy_mark(session_core& core) noexcept : core_(core) { core_.busy = true; }
  busy_mark(const busy_mark&) = delete;
  busy_mark& operator=(const busy_mark&) = delete;
  ~busy_mark() { core_.busy = false; }

 private:
  session_core& core_;
};

std::size_t find_database(const session_core& core, std::string_view name) noexcept {
  for (std::size_t i = 0; i < core.databases.size(); ++i)
    if (core.databases[i].name == name) return i;
  return session_core::open_file::no_database;
}

/// The log of that name, if it is on the list. Clients open logs in order, so the search goes on where the last one stopped.
asio::awaitable<std::optional<file_info>> find_log(guard_ptr in, std::string name) {
  session_core& core = *in->core;
  for (int round = 0; round < 2; ++round) {
    for (;;) {
      const auto at = std::find_if(core.log_batch.begin(), core.log_batch.end(), [&name](const file_info& f) { return f.name == name; });
      if (at != core.log_batch.end()) {
        std::optional<file_info> found(*at);
        co_return found;
      }
      if (!core.log_cursor) break;
      std::vector<file_info> more = co_await core.log_cursor->next();
      core.log_batch = std::move(more);
      if (core.log_batch.empty()) break;
    }
    std::unique_ptr<file_list> fresh = co_await core.pin->logs(core.logs.copy);
    core.log_cursor = std::move(fresh);
    core.log_batch.clear();
  }
  std::optional<file_info> none;
  co_return none;
}

/// The one file of a database that is read by handle.
asio::awaitable<file_info> only_file(guard_ptr in, std::size_t database) {
  session_core& core = *in->core;
  const database_id id = core.databases[database].id;
  std::unique_ptr<file_list> list = co_await core.pin->files(id);
  std::vector<file_info> files = co_await list->next();
  std::vector<file_info> more;
  if (files.size() == 1) {
    std::vector<file_info> rest = co_await list->next();
    more = std::move(rest);
  }
  if (files.size() != 1 || !more.empty()) {
    fail(errc::invalid_parameter, "open file", core.databases[database].name, {}, "a database of one file", "several: copy it as a whole");
  }
  file_info only = std::move(files.front());
  co_return only;
}

void database_failed(session_core& core, std::size_t database, std::error_code why) {
  core.done[database] = session_core::database_state::failed;
  core.emit(event_number::database_failed, core.databases[database].name, why);
}

asio::awaitable<std::size_t> read_next(guard_ptr in, session_core::open_file* file, asio::mutable_buffer into) {
  std::size_t filled = 0;
  if (!file->body_done) {
    const std::uint64_t left = file->source->bytes() - std::min(file->position, file->source->bytes());
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left));
    if (wanted != 0) {
      const asio::mutable_buffer part(into.data(), wanted);
      const std::size_t n = co_await file->source->read(file->position, part);
      const std::error_code ec = n == 0 ? std::error_code() : file->source->fold(file->position, asio::const_buffer(into.data(), n));
      if (ec) fail(ec, "check file", file->info.name, file->position);
      filled = n;
      file->position += n;
    }
    file->body_done = filled < wanted || file->position >= file->source->bytes();
  }
  // The trailer only where there is room behind the body; else it comes alone in the next read.
  const std::size_t trailer = file->source->trailer_bytes();
  if (file->body_done && !file->finished && into.size() - filled >= trailer) {
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);   // once only: it cannot be repeated after a cancellation
    const asio::mutable_buffer room(static_cast<char*>(into.data()) + filled, trailer);
    const std::uint64_t counts = co_await file->source->finish(room);
    static_cast<void>(counts);
    const auto enabled = asio::enable_terminal_cancellation();
    co_await asio::this_coro::reset_cancellation_state(enabled);
    file->finished = true;
    filled += trailer;
  }
  static_cast<void>(in);
  co_return filled;
}

/// Closes the open file and says whether it was read to its end.
void close_open_file(session_core& core) {
  const auto file = std::move(core.file);
  if (file->database != session_core::open_file::no_database) {
    const std::string& name = core.databases[file->database].name;
    if (file->finished) core.done[file->database] = session_core::database_state::complete;
    core.emit(file->finished ? event_number::copy_complete : event_number::copy_stopped, name);
  } else if (file->finished && file->info.role == file_role::log) {
    core.logs_read.add(file->info.log);
  }
}

transfer_job make_job(const guard_ptr& in, set_writer& to, io::buffer_pool& pool, const transfer_options& options) {
  session_core& core = *in->core;
  core.pace.set_rate(options.rate_limit);
  transfer_job job(in, *core.pin, to, pool, core.pace, core.counters);
  job.lanes = options.lanes;
  job.check = [&core] { core.check_limits(); };
  return job;
}

}  // namespace

asio::awaitable<std::pair<file_handle, std::uint64_t>> do_open(guard_ptr in, std::string name) {
  session_core& core = *in->core;
  const async_mutex::guard one = co_await core.door.lock();
  session_facts facts = core.facts();
  facts.arguments_valid = !name.empty();
  session_call call = session_call::open_missing;
  std::size_t database = session_core::open_file::no_database;
  std::optional<file_info> log;
  const bool answerable = core.state == session_state::none || facts.stopped || facts.busy || facts.file_open || name.empty();
  if (!answerable) {
    co_await load_databases(in);
    database = find_database(core, name);
    if (database != session_core::open_file::no_database) {
      call = session_call::open_database;
    } else if (core.state == session_state::logs && core.logs_prepared) {
      std::optional<file_info> listed = co_await find_log(in, name);
      log = std::move(listed);
      if (log) call = session_call::open_log;
    }
    if (call == session_call::open_missing && core.state == session_state::databases) {
      core.emit(event_number::database_failed, name, make_error_code(errc::database_not_found));
    }
  }
  co_await admit(in, call, facts, "open file", name);

  std::exception_ptr failure;
  auto opened = std::make_unique<session_core::open_file>();
  try {
    if (call == session_call::open_database) {
      file_info only = co_await only_file(in, database);
      opened->info = std::move(only);
      opened->database = database;
    } else {
      opened->info = std::move(*log);
    }
    std::unique_ptr<contrail::source> source = co_await core.pin->open(opened->info);
    opened->source = std::move(source);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (core.state == session_state::logs && !is_cancelled(code_of(failure))) {
      const auto disabled = asio::disable_cancellation();
      co_await asio::this_coro::reset_cancellation_state(disabled);
      co_await cancel_session(in, code_of(failure));
    }
    std::rethrow_exception(failure);
  }
  if (call == session_call::open_database) core.emit(event_number::copy_started, name);
  opened->handle = core.next_handle++;
  std::pair<file_handle, std::uint64_t> result;
  result.first.value = opened->handle;
  result.second = opened->source->bytes() + opened->source->trailer_bytes();
  core.counters.bytes_total.fetch_add(result.second, std::memory_order_relaxed);
  core.file = std::move(opened);
  co_return result;
}

asio::awaitable<std::size_t> do_read(guard_ptr in, file_handle handle, asio::mutable_buffer into) {
  session_core& core = *in->core;
  session_facts facts = core.facts();
  facts.handle_valid = core.file && core.file->handle == handle.value;
  if (facts.handle_valid) {
    const session_core::open_file& file = *core.file;
    const std::size_t unit = std::max<std::size_t>(file.source->granularity(), 1);
    facts.arguments_valid = into.size() != 0 && into.size() % unit == 0 && into.size() >= file.source->trailer_bytes();
    if (core.options.strict) {
      const bool of_database = file.database != session_core::open_file::no_database;
      const std::size_t least = of_database ? strict_first_pages : strict_first_pages - 1;   // decision D7
      if (!file.started && into.size() < least * unit) facts.arguments_valid = false;
      if (reinterpret_cast<std::uintptr_t>(into.data()) % strict_alignment != 0) facts.arguments_valid = false;   // decision D8
    }
  }
  std::string name;
  if (facts.handle_valid) name = core.file->info.name;
  co_await admit(in, session_call::read, facts, "read file", name);
  core.check_limits();

  std::exception_ptr failure;
  {
    const busy_mark mine(core);
    core.file->started = true;
    try {
      const std::size_t n = co_await read_next(in, core.file.get(), into);
      core.counters.bytes_read.fetch_add(n, std::memory_order_relaxed);
      co_return n;
    } catch (...) {
      failure = std::current_exception();
    }
  }
  const std::error_code why = code_of(failure);
  if (is_cancelled(why)) std::rethrow_exception(failure);   // the handle stays open, the position where it was
  const session_answer answer = next(core.state, session_call::read_failed, core.facts());
  if (answer.effect == session_effect::drop_database) {
    const std::size_t database = core.file->database;
    core.file.reset();
    database_failed(core, database, why);
  } else if (answer.effect == session_effect::cancel) {
    core.emit(event_number::log_read_failed, core.file->info.name, why);
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);
    co_await cancel_session(in, why);
  }
  std::rethrow_exception(failure);
}

asio::awaitable<void> do_close(guard_ptr in, file_handle handle) {
  session_core& core = *in->core;
  session_facts facts = core.facts();
  facts.handle_valid = core.file && core.file->handle == handle.value;
  co_await admit(in, session_call::close, facts, "close file", std::string());
  close_open_file(core);
}

asio::awaitable<void> do_copy(guard_ptr in, database_id id, set_writer* to, io::buffer_pool* pool, transfer_options options) {
  session_core& core = *in->core;
  async_mutex::guard one = co_await core.door.lock();
  const session_facts facts = core.facts();
  std::size_t database = session_core::open_file::no_database;
  if (core.state != session_state::none && !facts.stopped) {
    co_await load_databases(in);
    for (std::size_t i = 0; i < core.databases.size(); ++i)
      if (core.databases[i].id == id) database = i;
  }
  const bool known = database != session_core::open_file::no_database;
  const std::string name = known ? core.databases[database].name : "database " + std::to_string(id.value);
  const session_call call = known || core.state == session_state::logs ? session_call::open_database : session_call::open_missing;
  co_await admit(in, call, facts, "copy database", name);
  core.check_limits();
  const busy_mark mine(core);
  one.release();

  core.emit(event_number::copy_started, name);
  const std::uint64_t retried = core.counters.reads.pages_retried.load();
  std::exception_ptr failure;
  transfer_result result;
  bool listed = false;
  try {
    std::unique_ptr<file_list> list = co_await core.pin->files(id);
    listed = true;
    transfer_job job = make_job(in, *to, *pool, options);
    transfer_result got = co_await run_transfer(std::move(job), std::move(list));
    result = std::move(got);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !listed && !is_cancelled(code_of(failure))) std::swap(failure, result.source_failure);   // nothing is in the set yet
  if (failure || result.source_failure) {
    core.emit(event_number::copy_stopped, name, code_of(failure ? failure : result.source_failure));
    if (failure) std::rethrow_exception(failure);
    database_failed(core, database, code_of(result.source_failure));
    std::rethrow_exception(result.source_failure);
  }
  core.done[database] = session_core::database_state::complete;
  const std::uint64_t again = core.counters.reads.pages_retried.load() - retried;
  if (again != 0) core.emit(event_number::read_recovered, std::to_string(again) + " pages were read again");
  core.emit(event_number::copy_complete, name);
}

asio::awaitable<void> do_copy_logs(guard_ptr in, set_writer* to, io::buffer_pool* pool, transfer_options options) {
  session_core& core = *in->core;
  async_mutex::guard one = co_await core.door.lock();
  co_await admit(in, session_call::copy_logs, core.facts(), "copy logs", std::string());
  core.check_limits();
  const busy_mark mine(core);
  one.release();

  std::exception_ptr source_failure;
  std::unique_ptr<file_list> list;
  try {
    std::unique_ptr<file_list> all = co_await core.pin->logs(core.logs.copy);
    list = std::move(all);
  } catch (...) {
    source_failure = std::current_exception();
  }
  if (source_failure && is_cancelled(code_of(source_failure))) std::rethrow_exception(source_failure);
  if (!source_failure) {
    // What the sink or a cancellation throws leaves the session as it is; the caller aborts.
    transfer_job job = make_job(in, *to, *pool, options);
    const transfer_result got = co_await run_transfer(std::move(job), std::move(list));
    source_failure = got.source_failure;
  }
  if (source_failure) {
    core.emit(event_number::log_read_failed, "copy logs", code_of(source_failure));
    const auto disabled = asio::disable_cancellation();
    co_await asio::this_coro::reset_cancellation_state(disabled);
    co_await cancel_session(in, code_of(source_failure));
    std::rethrow_exception(source_failure);
  }
  core.logs_copied_whole = true;
}

}  // namespace contrail::detail
