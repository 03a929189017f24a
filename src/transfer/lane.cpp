#include "transfer/transfer.hpp"

#include "async/task_group.hpp"
#include "failure.hpp"
#include "transfer/plan.hpp"

#include <contrail/error.hpp>

#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace contrail::detail {
namespace {

constexpr unsigned most_restarts = 3;

/// In turn: takes the file out of the set.
asio::awaitable<void> drop_from_set(std::shared_ptr<transfer_state> state, std::shared_ptr<file_record> file, std::error_code why) {
  if (!file->opened) co_return;
  file->opened = false;
  std::erase(state->in_set, file->id);
  state->job.counters.bytes_accepted.fetch_sub(file->accepted, std::memory_order_relaxed);
  co_await state->job.to.drop(file->id, why);
}

/// In turn: a failure of the source is allowed, mended, or the end of the transfer.
asio::awaitable<void> source_trouble(std::shared_ptr<transfer_state> state, std::shared_ptr<file_record> file,
                                     std::exception_ptr failure) {
  const std::error_code why = code_of(failure);
  if (file && why == errc::file_vanished && file->info.may_vanish) {
    forget_file(*state, file);
    co_await drop_from_set(state, file, why);
    co_return;
  }
  if (file && why == errc::source_restarted && file->restarts < most_restarts) {
    rewind_plan(*state, file);
    co_await drop_from_set(state, file, why);
    co_return;
  }
  state->source_failed = true;
  rethrow_described(failure, file ? "copy file" : "list files", file ? std::string_view(file->info.name) : std::string_view());
}

void checked_fold(file_record& file, asio::const_buffer body) {
  const std::error_code ec = file.source->fold(file.delivered, body);
  if (ec) fail(ec, "check file", file.info.name, file.delivered);
}

/// In turn: one chunk goes into the set.
asio::awaitable<void> deliver(std::shared_ptr<transfer_state> state, ticket t, io::lease buffer, std::size_t got) {
  if (t.epoch != state->epoch || (t.file && t.file->gone)) co_return;
  const auto file = t.file;
  if (t.error) {
    co_await source_trouble(state, file, t.error);
    co_return;
  }
  if (!file->opened) {
    const file_id id = co_await state->job.to.open(file->info);
    file->id = id;
    file->opened = true;
    state->in_set.push_back(id);
  }

  const bool past_end = file->ended && got != 0;
  const std::size_t body = file->ended ? 0 : got;
  if (got < t.bytes) file->ended = true;
  char* const data = static_cast<char*>(buffer.buffer().data());
  std::uint64_t valid = 0;
  const std::size_t trailer = t.last ? file->trailer : 0;
  std::exception_ptr failure;
  if (file->source) {
    try {
      // A read in the middle came back short, and yet there is more behind it: bytes would be missing from the set.
      if (past_end) fail(errc::disk_io, "copy file", file->info.name, file->delivered, "bytes up to the end", "a gap before other bytes");
      if (body != 0) checked_fold(*file, asio::const_buffer(data, body));
      if (t.last) {
        const asio::mutable_buffer room(data + body, trailer);
        const std::uint64_t counts = co_await file->source->finish(room);
        valid = counts;
        if (valid > file->delivered + body) {
          fail(errc::disk_io, "copy file", file->info.name, file->delivered + body, std::to_string(valid) + " bytes that count",
               "the end of what could be read");
        }
      }
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) {
    const bool cancelled = co_await was_cancelled();
    if (cancelled) std::rethrow_exception(failure);
    co_await source_trouble(state, file, failure);
    co_return;
  }

  const std::size_t stored = body + trailer;
  const std::uint64_t offset = file->delivered;
  file->delivered += stored;
  if (stored != 0) {
    file->sum.update(asio::const_buffer(data, stored));
    co_await state->job.to.write(file->id, offset, std::move(buffer), stored);
    file->accepted += stored;
    state->job.counters.bytes_accepted.fetch_add(stored, std::memory_order_relaxed);
  }
  if (!t.last) co_return;

  file_end end;
  end.bytes = file->delivered;
  const std::uint64_t whole_body = file->delivered - trailer;
  end.valid = valid >= whole_body ? end.bytes : valid;
  end.digest = file->sum.text();
  co_await state->job.to.close(file->id, end);
  state->result.files += 1;
  state->result.bytes += end.bytes;
  forget_file(*state, file);
}

/// A buffer first, a ticket second: whoever has the turn has all that it needs, so that a pool of one cannot deadlock.
asio::awaitable<void> lane(std::shared_ptr<transfer_state> state) {
  for (;;) {
    io::lease buffer = co_await state->job.pool.async_acquire(asio::use_awaitable);
    const std::size_t capacity = buffer.buffer().size();
    std::optional<ticket> taken = co_await take_ticket(state, capacity);
    if (!taken) co_return;
    ticket t = std::move(*taken);
    std::size_t got = 0;
    if (!t.error && t.bytes != 0) {
      const asio::mutable_buffer into(buffer.buffer().data(), t.bytes);
      try {
        const std::size_t n = co_await t.file->source->read(t.offset, into);
        got = n;
      } catch (...) {
        t.error = std::current_exception();
      }
      if (t.error) {
        const bool cancelled = co_await was_cancelled();
        if (cancelled) std::rethrow_exception(t.error);
      }
      state->job.counters.bytes_read.fetch_add(got, std::memory_order_relaxed);
    }
    const std::uint64_t number = t.number;
    co_await state->turn.enter(number);   // only a buffer waits here, no hold
    co_await deliver(state, std::move(t), std::move(buffer), got);
    state->turn.leave();
  }
}

/// The set goes on without the files of this transfer.
asio::awaitable<void> drop_all(std::shared_ptr<transfer_state> state, std::error_code why) {
  while (!state->in_set.empty()) {
    const file_id id = state->in_set.back();
    state->in_set.pop_back();
    co_await state->job.to.drop(id, why);
  }
}

}  // namespace

asio::awaitable<transfer_result> run_transfer(transfer_job job, std::unique_ptr<file_list> list) {
  auto ex = co_await asio::this_coro::executor;
  const auto state = std::make_shared<transfer_state>(std::move(job), std::move(list));
  task_group lanes(ex);
  const unsigned count = std::max(state->job.lanes, 1U);
  for (unsigned i = 0; i < count; ++i) lanes.spawn(lane(state));
  std::exception_ptr failure;
  try {
    co_await lanes.join();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const bool of_source = state->source_failed && !is_cancelled(code_of(failure));
    if (!of_source) std::rethrow_exception(failure);
    co_await drop_all(state, code_of(failure));
    state->result.files = 0;
    state->result.bytes = 0;
    state->result.source_failure = failure;
  }
  transfer_result result = std::move(state->result);
  co_return result;
}

}  // namespace contrail::detail
