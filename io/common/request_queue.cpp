#include "common/request_queue.hpp"

#include "common/file_state.hpp"
#include "common/io_errors.hpp"

#include <contrail/io/detail/initiate.hpp>

#include <asio/error.hpp>
#include <asio/post.hpp>

#include <algorithm>

namespace contrail::io::detail {

namespace {

void push(std::atomic<operation*>& list, operation* op, operation* operation::*link) noexcept {
  operation* head = list.load(std::memory_order_relaxed);
  do {
    op->*link = head;
  } while (!list.compare_exchange_weak(head, op, std::memory_order_release, std::memory_order_relaxed));
}

/// Submitting threads that end take a request with them a few times at most; more often, it is something that will not stop.
constexpr unsigned most_tries_again = 8;

bool is_transfer(const operation& op) noexcept { return op.what == request::read || op.what == request::write; }

/// Errors that say nothing about the file: the system wants to be asked again.
bool wants_reissue(const operation& op) noexcept {
  if (!op.error) return false;
  // Or, of a read that must not wait: it would have to, or the file system does not know such reads.
  if (op.io.nowait && op.error == std::errc::operation_not_supported) return true;
  return op.error == std::errc::interrupted || op.error == std::errc::resource_unavailable_try_again;
}

}  // namespace

request_queue::request_queue(const asio::any_io_executor& ex, std::shared_ptr<pool_registry> pools, std::size_t bytes_per_turn)
    : strand_(asio::make_strand(ex)), pools_(std::move(pools)), bytes_per_turn_(bytes_per_turn) {}

request_queue::~request_queue() { shutdown(); }

void request_queue::attach(std::unique_ptr<driver> backend, backend_info info) {
  driver_ = std::move(backend);
  info_ = std::move(info);
}

void request_queue::start(operation* op) noexcept {
  if (closed()) {
    op->finish(op, false);
    return;
  }
  if (op->what == request::open) op->file = std::make_shared<file_state>(shared_from_this());
  if (op->file == nullptr) op->owner = shared_from_this();
  push(incoming_, op, &operation::next);
  wake();
}

void request_queue::cancel(operation* op) noexcept {
  // The completion was first: nothing to do, and the queue may be gone already.
  if (op->flags.fetch_or(operation::cancelled_bit, std::memory_order_acq_rel) != 0) return;
  push(cancels_, op, &operation::next_cancel);
  wake();
}

void request_queue::wake() noexcept {
  if (closed()) return;
  if (posted_.exchange(true, std::memory_order_acq_rel)) return;
  auto self = weak_from_this().lock();
  if (self == nullptr) return;
  asio::post(*strand_, [self = std::move(self)] { self->turn(); });
}

void request_queue::take_incoming() noexcept {
  operation* newest = incoming_.exchange(nullptr, std::memory_order_acquire);
  operation* oldest = nullptr;
  while (newest != nullptr) {
    operation* after = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = after;
  }
  while (oldest != nullptr) {
    operation* after = oldest->next;
    oldest->at = operation::phase::waiting;
    waiting_.push(oldest);
    oldest = after;
  }
}

void request_queue::take_cancels(operation_list& ready) noexcept {
  operation* op = cancels_.exchange(nullptr, std::memory_order_acquire);
  while (op != nullptr) {
    operation* after = op->next_cancel;
    op->cancel_taken = true;
    if (op->at == operation::phase::done) {
      std::erase(parked_, op);
      ready.push(op);
    } else if (op->at == operation::phase::issued) {
      driver_->cancel(*op);
    }
    op = after;   // a waiting one is completed when its turn to be issued comes
  }
}

/// Neither side frees under the other: when the cancellation was first but its entry has not been taken yet, the operation is parked.
void request_queue::complete(operation* op, operation_list& ready) noexcept {
  op->at = operation::phase::done;
  forget_tries(op);
  const unsigned before = op->flags.fetch_or(operation::done_bit, std::memory_order_acq_rel);
  if ((before & operation::cancelled_bit) != 0 && !op->cancel_taken) {
    parked_.push_back(op);
  } else {
    ready.push(op);
  }
}

/// Of one that was cancelled unasked. False: often enough.
bool request_queue::try_again(const operation* op) noexcept {
  const auto known = std::find_if(disowned_.begin(), disowned_.end(), [op](const tried& one) { return one.op == op; });
  if (known != disowned_.end()) return ++known->times <= most_tries_again;
  try {
    disowned_.push_back({op, 1});
    return true;
  } catch (...) {
    return false;   // what cannot be counted must not go on
  }
}

void request_queue::forget_tries(const operation* op) noexcept {
  if (!disowned_.empty()) std::erase_if(disowned_, [op](const tried& one) { return one.op == op; });
}

/// True when an operation waits to be issued again.
bool request_queue::collect(operation_list& ready) noexcept {
  bool again = false;
  operation_list finished;
  driver_->reap(finished);
  while (operation* op = finished.pop()) {
    --in_flight_;
    const bool cancelled = (op->flags.load(std::memory_order_acquire) & operation::cancelled_bit) != 0;
    // A cancellation that nobody asked for: the thread that submitted has ended, or a driver gave up what it had.
    bool disowned = op->error == asio::error::operation_aborted && !cancelled;
    if (disowned && !try_again(op)) {
      op->error = io_errc::cancelled_by_system;
      op->count = 0;
      disowned = false;
    }
    if (disowned || (wants_reissue(*op) && !cancelled && is_transfer(*op))) {
      if (op->io.nowait && !disowned) {
        if (op->error == std::errc::operation_not_supported) {
          op->file->knows_nowait = false;   // overlayfs: what is resident is read from the cache all the same
        } else {
          op->not_cached = true;
        }
      }
      op->error.clear();
      op->count = 0;
      op->bounce.reset();
      op->at = operation::phase::waiting;
      waiting_.push(op);
      again = true;
      continue;
    }
    if (cancelled && wants_reissue(*op) && is_transfer(*op)) op->error = asio::error::operation_aborted;
    if (is_transfer(*op)) bounce_buffers::finish(*op);
    complete(op, ready);
  }
  return again;
}

/// True when the byte budget of this turn ended it.
bool request_queue::issue_waiting(operation_list& ready) noexcept {
  std::size_t budget = bytes_per_turn_;
  while (operation* op = waiting_.pop()) {
    if (op->cancel_taken) {
      op->error = asio::error::operation_aborted;
      op->count = 0;
      complete(op, ready);
      continue;
    }
    const bool transfer = is_transfer(*op);
    if (transfer && !bounce_.prepare(*op)) {
      if (in_flight_ == 0) {
        op->error = std::make_error_code(std::errc::not_enough_memory);
        complete(op, ready);
        continue;
      }
      waiting_.push_front(op);
      return false;
    }
    const bool cached = transfer && (op->file->facts.alignment <= 1 || op->io.through_cache);
    const bool copies = cached && driver_->copies_inline();
    const bool lasts = copies || (op->what == request::write && driver_->writes_inline());
    if (lasts && budget == 0) {
      op->bounce.reset();
      waiting_.push_front(op);
      return true;
    }
    // A direct one has to keep its alignment, and goes whole.
    if (copies) op->io.bytes = std::min(op->io.bytes, budget);
    if (!driver_->issue(*op)) {
      op->bounce.reset();
      if (in_flight_ == 0) {
        // Nothing that could make room: the system gives no thread or no memory.
        op->error = std::make_error_code(std::errc::resource_unavailable_try_again);
        complete(op, ready);
        continue;
      }
      waiting_.push_front(op);
      return false;
    }
    op->at = operation::phase::issued;
    ++in_flight_;
    if (lasts) budget -= std::min(budget, op->io.bytes);
  }
  return false;
}

void request_queue::turn() noexcept {
  if (closed()) return;
  // Reads what the last waker wrote: entries pushed before its exchange are seen below, later ones post another turn.
  posted_.exchange(false, std::memory_order_acq_rel);
  operation_list ready;
  take_cancels(ready);
  take_incoming();
  collect(ready);
  const bool more = issue_waiting(ready);
  driver_->flush();
  const bool again = collect(ready);   // cached reads finish inside flush
  while (operation* op = ready.pop()) op->finish(op, true);
  if (!waiting_.empty() && (more || again || in_flight_ == 0)) wake();
  if (in_flight_ > 0) {
    driver_->arm();
  } else {
    driver_->disarm();
  }
}

void request_queue::shutdown() noexcept {
  if (closed_.exchange(true, std::memory_order_acq_rel)) return;
  take_incoming();
  operation_list all;
  while (operation* op = waiting_.pop()) all.push(op);
  if (driver_ != nullptr) {
    driver_->drain();
    driver_->reap(all);
  }
  for (operation* op : parked_) all.push(op);
  parked_.clear();
  bounce_.clear();
  if (driver_ != nullptr) driver_->detach();
  strand_.reset();   // a strand that outlives its context touches freed memory
  while (operation* op = all.pop()) op->finish(op, false);
}

file_state::~file_state() { queue->backend().close(*this); }

bool accepts(const std::shared_ptr<request_queue>& queue) noexcept { return queue != nullptr && !queue->closed(); }
void start(const std::shared_ptr<request_queue>& queue, operation* op) noexcept { queue->start(op); }
void cancel(request_queue& queue, operation* op) noexcept { queue.cancel(op); }
const std::shared_ptr<request_queue>& queue_of(const std::shared_ptr<file_state>& file) noexcept { return file->queue; }
lease find_lease(request_queue& queue, const void* data, std::size_t bytes) noexcept { return queue.find_lease(data, bytes); }

}  // namespace contrail::io::detail
