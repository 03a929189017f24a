#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/log_record.hpp"

#include <contrail/error.hpp>
#include "async/task_group.hpp"

#include <asio/this_coro.hpp>

// The end of an instance: by the book, quickly, or as if the power had failed.
namespace contrail::pagestore {

// As detach for all, then a checkpoint behind everything: the next open has nothing to recover.
asio::awaitable<void> instance_core::finish_cleanly() {
  const detail::async_mutex::guard no_round = co_await rounding_.lock();
  co_await cache_->write_older(no_end, 0);
  const lgpos tip = log_->tip();
  co_await log_->settle(tip);
  const auto ex = co_await asio::this_coro::executor;
  {
    detail::task_group syncs(ex);
    for (const auto& [id, d] : databases_) syncs.spawn(sync_database(d));
    co_await syncs.join();
  }
  {
    detail::task_group updates(ex);
    for (const auto& [id, d] : databases_) updates.spawn(make_clean(d, tip));
    co_await updates.join();
  }
  for (const auto& [id, d] : databases_) remember(*d, true);
  std::vector<std::byte> bytes;
  record_builder record(bytes);
  record.begin_plain(record_type::shutdown, now_ns());
  record.finish();
  const lgpos at = co_await append_own(std::move(bytes), true);
  static_cast<void>(at);
  const lgpos end = log_->tip();
  const std::vector<attached_database> none;
  co_await write_checkpoint(end, none);
}

asio::awaitable<void> instance_core::terminate(term_mode how) {
  if (state_ == state::ended) co_return;
  if (state_ == state::ending) {
    while (state_ != state::ended) co_await idle_.wait();
    co_return;
  }
  if (how == term_mode::complete && claimed_ && !dead_) {
    fail(errc::backup_in_progress, "end the instance", how_.directory.string(), {}, "no backup", "one that runs; end it first, or with the instance");
  }
  state_ = state::ending;
  backup_refusal_ = errc::term_in_progress;
  lose_backup();
  if (how == term_mode::stop_backup) how = term_mode::complete;
  while (!open_.empty()) {
    ++sums_.rollbacks;
    const std::shared_ptr<transaction_state> t = *open_.begin();
    release(*t);
  }
  if (how != term_mode::complete && cache_) cache_->stop();
  if (how == term_mode::dirty && log_) log_->stop(false);
  round_done_.notify();
  round_asked_.notify();
  if (round_pause_ != nullptr) round_pause_->cancel();
  while (calls_ != 0) co_await idle_.wait();

  std::exception_ptr failure;
  if (how == term_mode::complete && !dead_) {
    try {
      co_await finish_cleanly();
    } catch (const std::system_error& e) {
      failure = std::current_exception();
      lost(e.code());
    }
  }
  if (log_) log_->stop(how != term_mode::dirty);
  if (cache_) cache_->stop();
  prepare_wanted_ = false;
  finishing_ = true;
  prepare_asked_.notify();
  round_asked_.notify();
  if (pause_ != nullptr) pause_->cancel();
  while (workers_ != 0) co_await idle_.wait();
  for (const auto& [id, d] : databases_) {
    d->file.close();
    d->lock.release();
  }
  databases_.clear();
  checkpoint_.close();
  if (log_) log_->close();
  locks_.clear();
  state_ = state::ended;
  ended_ = true;
  kept_->close();
  const bool told = told_ || (log_ && log_->told());
  let_go();
  idle_.notify();
  if (failure) std::rethrow_exception(failure);
  // Commits that were not durable yet may be lost, and nobody has heard of it.
  if (dead_ && how != term_mode::dirty && !told) require_running();
}

void instance_core::abandon() noexcept {
  const std::shared_ptr<instance_core> self = shared_from_this();
  try {
    const auto strand = kept_->get();
    if (!strand) return;
    asio::co_spawn(*strand, end_quietly(self), [](std::exception_ptr) {});
  } catch (...) {
    // Without memory for it: the strand's own end takes everything along.
  }
}

asio::awaitable<void> instance_core::end_quietly(std::shared_ptr<instance_core> self) { co_await self->terminate(term_mode::dirty); }

}  // namespace contrail::pagestore
