#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/twin_file.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include "async/file_calls.hpp"
#include "async/task_group.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <functional>

// Checkpoint rounds: everything that was committed before a position is brought into the databases, then the position is published.
namespace contrail::pagestore {

namespace {

constexpr std::chrono::seconds full_disk_pause{1};

asio::awaitable<void> publish_round(std::shared_ptr<open_database> d, lgpos redo, std::uint64_t dbtime) {
  const std::function<void(database_header&)> change = [redo, dbtime](database_header& h) {
    if (h.state != database_state::dirty) return;
    h.min_required = std::max(h.min_required, redo.generation());
    h.max_required = std::max(h.max_required, h.min_required);
    h.max_committed = h.max_required;
    h.redo = std::max(h.redo, redo);
    h.dbtime = std::max(h.dbtime, dbtime);
  };
  co_await d->file.update(change);
}

}  // namespace

asio::awaitable<void> instance_core::sync_database(std::shared_ptr<open_database> d) {
  const std::uint64_t mark = cache_->sync_mark();
  co_await d->file.sync();
  cache_->synced(d->id, mark);
}

asio::awaitable<void> instance_core::round() {
  const detail::async_mutex::guard mine = co_await rounding_.lock();
  if (dead_) require_running();
  const lgpos redo = log_->tip();
  const std::vector<attached_database> list = attached_list();
  std::vector<std::shared_ptr<open_database>> present;
  std::vector<std::uint64_t> dbtimes;
  for (const auto& [id, d] : databases_) {
    if (!d->attached) continue;
    present.push_back(d);
    dbtimes.push_back(d->dbtime);
    d->horizon = d->dbtime;
  }
  co_await cache_->write_older(redo, 0);
  // Else the checkpoint might point behind the end of the log.
  co_await log_->settle(redo);
  const auto ex = co_await asio::this_coro::executor;
  {
    detail::task_group syncs(ex);
    for (const auto& d : present) syncs.spawn(sync_database(d));
    co_await syncs.join();
  }
  // The headers first: recovery from the new position could otherwise meet one that asks for an older log.
  {
    detail::task_group updates(ex);
    for (std::size_t i = 0; i < present.size(); ++i) {
      if (present[i]->attached) updates.spawn(publish_round(present[i], redo, dbtimes[i]));
    }
    co_await updates.join();
  }
  co_await write_checkpoint(redo, list);
  ++sums_.rounds;
  if (how_.circular_logging && how_.logging) co_await delete_old_logs();
}

asio::awaitable<void> instance_core::write_checkpoint(lgpos redo, std::vector<attached_database> list) {
  if (!log_->writes()) {   // that on the disk stays with its logs
    published_ = redo;
    co_return;
  }
  const detail::async_mutex::guard mine = co_await checkpointing_.lock();
  const std::filesystem::path path = checkpoint_path(how_);
  constexpr const char* operation = "write checkpoint";
  twin_place place;
  place.second = checkpoint_bytes;
  place.bytes = checkpoint_bytes;
  bool made = false;
  if (!checkpoint_.is_open()) {
    io::open_options options;
    options.mode = io::access::read_write;
    options.create = true;
    calls::opened opened = co_await calls::open(fs_, path, options);
    calls::check(opened.ec, operation, path);
    checkpoint_ = std::move(opened.file);
    made = checkpoint_.facts().bytes == 0;
  }
  checkpoint_block block;
  block.page_size = how_.page_size;
  block.update = ++checkpoint_update_;
  block.log = log_->header().log;
  block.redo = redo;
  std::copy_n(how_.base_name.begin(), 3, block.base_name.begin());
  block.attached = std::move(list);
  for (const attached_database& a : let_go_.entries()) {
    std::uint32_t id = 1;
    const auto taken = [&block, &id] {
      return std::any_of(block.attached.begin(), block.attached.end(), [&id](const attached_database& other) { return other.id == id; });
    };
    while (id <= most_databases && taken()) ++id;
    if (id > most_databases) break;
    block.attached.push_back(a);
    block.attached.back().id = id;
  }
  std::vector<std::byte> bytes(checkpoint_bytes);
  encode_checkpoint(block, bytes);
  const std::string name = path.string();
  std::function<asio::awaitable<void>()> sync = [this, &name] { return sync_file(checkpoint_, operation, name); };
  co_await write_twins(checkpoint_, std::move(sync), place, std::move(bytes), checkpoint_second_first_, operation, name);
  if (made) {
    const std::error_code named = co_await calls::sync_directory(fs_, how_.checkpoint_directory);
    calls::check(named, operation, path);
  }
  if (redo < published_) ++sums_.invariants_broken;
  published_ = redo;
}

// Circular logging: what lies before the checkpoint goes, oldest first. One of them becomes the next log file.
asio::awaitable<void> instance_core::delete_old_logs() {
  const detail::async_mutex::guard mine = co_await deleting_.lock();
  bool removed = false;
  while (lowest_generation_ < first_pinned()) {
    const std::uint32_t generation = lowest_generation_;
    if (recycled_) break;   // it is the one, and goes first
    if (!log_->prepared() && !finishing_) {
      recycled_ = generation;
      prepare_wanted_ = true;
      prepare_asked_.notify();
      break;
    }
    const std::error_code ec = co_await calls::remove(fs_, numbered_log_path(how_, generation));
    if (ec && !calls::is_missing(ec)) break;   // it stays, and with it all later ones: tried again after the next round
    lowest_generation_ = generation + 1;
    removed = true;
  }
  if (!removed) co_return;
  const std::error_code ignored = co_await calls::sync_directory(fs_, how_.log_directory);
  static_cast<void>(ignored);   // they may come back, which does no harm
}

asio::awaitable<void> instance_core::run_rounds(std::shared_ptr<instance_core> self) {
  instance_core& core = *self;
  while (core.state_ == state::running && !core.dead_) {
    if (!core.round_wanted_) {
      co_await core.round_asked_.wait();
      continue;
    }
    core.round_wanted_ = false;
    std::error_code why;
    try {
      co_await core.round();
    } catch (const std::system_error& e) {
      why = e.code();
    }
    core.round_failure_ = why;
    ++core.rounds_done_;
    core.round_done_.notify();
    if (!why) continue;
    if (why != errc::disk_full) {
      core.failed(why);
      break;
    }
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, full_disk_pause);
    core.round_pause_ = &pause;
    const auto token = asio::experimental::as_tuple(asio::use_awaitable);
    const auto passed = co_await pause.async_wait(token);
    static_cast<void>(passed);
    core.round_pause_ = nullptr;
  }
  core.worker_ended();
}

asio::awaitable<void> instance_core::checkpoint() {
  const call_guard running(*this);
  require_running();
  std::exception_ptr failure;
  try {
    co_await round();
  } catch (const std::system_error& e) {
    failure = std::current_exception();
    if (e.code() != errc::disk_full) failed(e.code());
  }
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<statistics> instance_core::counters() {
  statistics out = sums_;
  if (!log_) co_return out;   // it ended meanwhile
  out.batches = log_->batches;
  out.log_bytes = log_->record_bytes;
  out.pages_read = cache_->pages_read;
  out.pages_written = cache_->pages_written;
  out.holds = cache_->holds().counts();
  out.longest_hold_us = cache_->holds().longest_us();
  out.invariants_broken += cache_->invariants_broken;
  co_return out;
}

}  // namespace contrail::pagestore
