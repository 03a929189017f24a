#include "common/backends.hpp"
#include "common/file_state.hpp"
#include "common/perform.hpp"
#include "common/pool_state.hpp"
#include "common/request_queue.hpp"
#include "common/thread_crew.hpp"
#include "posix/names.hpp"
#include "uring/registered_files.hpp"
#include "uring/registered_pools.hpp"

#include <asio/bind_executor.hpp>
#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <liburing.h>

namespace contrail::io::detail {

namespace {

std::error_code system_error(int number) noexcept { return {number, std::system_category()}; }

/// Transfers and syncs go through a private ring whose descriptor stands in Asio's reactor; requests on names, which are rare and which
/// the ring would give to kernel threads anyway, go to one helper thread.
///
/// No SINGLE_ISSUER or DEFER_TASKRUN: a strand does not pin a thread, and DEFER_TASKRUN does not wake a reactor that watches the ring.
class uring_driver final : public driver {
 public:
  uring_driver(driver_host& host, unsigned depth) : host_(host), helper_(host, 1, &perform_beside_ring), files_(ring_) {
    io_uring_params parameters{};
    // Each operation may need an entry for itself and one for its cancellation; completions must always find room.
    parameters.flags = IORING_SETUP_CQSIZE;
    parameters.cq_entries = std::max(depth, 1U) * 4;
    int result = io_uring_queue_init_params(depth, &ring_, &parameters);
    if (result < 0) throw std::system_error(system_error(-result), "io_uring_setup");
    most_owed_ = parameters.cq_entries;
    most_issued_ = depth;
    io_uring_ring_dontfork(&ring_);
    pools_ = std::make_shared<registered_pools>(ring_);
    // A descriptor of its own: Asio closes what it holds.
    const int watched = ::fcntl(ring_.ring_fd, F_DUPFD_CLOEXEC, 0);
    if (watched < 0) {
      result = errno;
      io_uring_queue_exit(&ring_);
      throw std::system_error(system_error(result), "dup of the ring");
    }
    watch_.emplace(host.strand(), watched);
  }
  ~uring_driver() override {
    pools_->ring_closes();
    io_uring_queue_exit(&ring_);
  }

  bool issue(operation& op) noexcept override {
    if (!rides_the_ring(op)) return helper_.push(op);
    if (issued_ >= most_issued_ || owed_ + 2 > most_owed_) return false;
    io_uring_sqe* entry = next_entry();
    if (entry == nullptr) return false;
    prepare(op, entry);
    io_uring_sqe_set_data(entry, &op);
    op.owed = 1;
    ++owed_;
    ++issued_;
    return true;
  }

  void cancel(operation& op) noexcept override {
    if (!rides_the_ring(op)) {
      helper_.cancel(op);
      return;
    }
    // No room for the cancellation: the operation runs to its end, which cancelling allows.
    if (owed_ + 1 > most_owed_) return;
    io_uring_sqe* entry = next_entry();
    if (entry == nullptr) return;
    io_uring_prep_cancel64(entry, tag(op), 0);
    // The low bit marks the cancellation's own completion. The operation is finished when both are in, so that no address is used
    // again while the ring knows it.
    io_uring_sqe_set_data64(entry, tag(op) | 1U);
    ++op.owed;
    ++owed_;
  }

  void flush() noexcept override {
    // Refused in whole or in part, for want of memory: what stands in the queue is submitted by the next turn.
    if (io_uring_submit(&ring_) < 0 || io_uring_sq_ready(&ring_) != 0) host_.wake();
  }

  void reap(operation_list& finished) noexcept override {
    io_uring_cqe* done = nullptr;
    while (io_uring_peek_cqe(&ring_, &done) == 0) {
      const std::uint64_t data = io_uring_cqe_get_data64(done);
      const int result = done->res;
      io_uring_cqe_seen(&ring_, done);
      --owed_;
      auto* op = reinterpret_cast<operation*>(static_cast<std::uintptr_t>(data & ~std::uint64_t{1}));
      if ((data & 1U) == 0) take_result(*op, result);
      if (--op->owed != 0) continue;
      --issued_;
      if (op->io.drop_after) drop_from_cache(*op);
      finished.push(op);
    }
    helper_.reap(finished);
  }

  void arm() noexcept override {
    if (armed_ || issued_ == 0) return;
    armed_ = true;
    watch_->async_wait(asio::posix::stream_descriptor::wait_read,
                       asio::bind_executor(host_.strand(), [this, weak = std::weak_ptr<driver_host>(host_.share())](std::error_code) {
                         const auto alive = weak.lock();
                         if (alive == nullptr) return;
                         armed_ = false;
                         alive->wake();
                       }));
  }

  void disarm() noexcept override {
    // Finished inside a flush: the wait would keep run() from returning.
    if (armed_) watch_->cancel();
  }

  bool copies_inline() const noexcept override { return true; }

  void drain() noexcept override {
    while (io_uring_sq_ready(&ring_) != 0) {
      const int taken = io_uring_submit(&ring_);
      if (taken < 0 && taken != -EINTR && taken != -EAGAIN && taken != -EBUSY) break;
    }
    io_uring_sync_cancel_reg all{};
    all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    all.fd = -1;
    all.timeout.tv_sec = -1;
    all.timeout.tv_nsec = -1;
    // Kernels before 6.0 do not know it; then the transfers simply end by themselves.
    io_uring_register_sync_cancel(&ring_, &all);
    // What the system never took it does not owe.
    const unsigned owed = owed_ - std::min(owed_, io_uring_sq_ready(&ring_));
    while (owed > io_uring_cq_ready(&ring_)) {
      io_uring_cqe* done = nullptr;
      const int result = io_uring_wait_cqe_nr(&ring_, &done, owed);
      if (result < 0 && result != -EINTR && result != -EAGAIN) break;
    }
    helper_.drain();
  }

  void detach() noexcept override { watch_.reset(); }
  void close(file_state& file) noexcept override {
    if (file.registered) {
      files_.close(file);
    } else {
      close_file(file);
    }
  }

 private:
  /// What does not ride the ring; a lock-neutral open puts the file into its table.
  static void perform_beside_ring(operation& op) noexcept {
    if (op.what == request::open && op.names->options.lock_neutral && static_cast<uring_driver&>(op.file->queue->backend()).open_registered(op)) {
      return;
    }
    perform(op);
  }
  bool open_registered(operation& op) noexcept {
    try {
      path_descriptor path(op);
      if (!files_.open(path.get(), op.names->options.cache, *op.file)) return false;
      path.release();
      return true;
    } catch (...) {
      return false;   // the ordinary way says what is wrong
    }
  }
  static bool rides_the_ring(const operation& op) noexcept {
    return op.what == request::read || op.what == request::write || op.what == request::sync;
  }
  static std::uint64_t tag(const operation& op) noexcept { return reinterpret_cast<std::uintptr_t>(&op); }

  io_uring_sqe* next_entry() noexcept {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry != nullptr) return entry;
    io_uring_submit(&ring_);
    return io_uring_get_sqe(&ring_);
  }

  void prepare(operation& op, io_uring_sqe* entry) noexcept {
    const int fd = static_cast<int>(op.io.through_cache ? op.file->native_cached : op.file->native);
    if (op.what == request::sync) {
      io_uring_prep_fsync(entry, static_cast<int>(op.file->native), 0);
      if (op.file->registered) entry->flags |= IOSQE_FIXED_FILE;
      return;
    }
    const auto length = static_cast<unsigned>(std::min<std::size_t>(op.io.bytes, 0x7ffff000));
    const int index = op.io.fixed ? pools_->index_of(op.pinned.pool()) : -1;
    if (op.what == request::read) {
      if (index >= 0) {
        io_uring_prep_read_fixed(entry, fd, op.io.data, length, op.io.offset, index);
      } else {
        io_uring_prep_read(entry, fd, op.io.data, length, op.io.offset);
      }
    } else {
      if (index >= 0) {
        io_uring_prep_write_fixed(entry, fd, op.io.data, length, op.io.offset, index);
      } else {
        io_uring_prep_write(entry, fd, op.io.data, length, op.io.offset);
      }
    }
    if (op.io.nowait) entry->rw_flags = RWF_NOWAIT;
    if (op.file->registered) entry->flags |= IOSQE_FIXED_FILE;
  }

  static void take_result(operation& op, int result) noexcept {
    op.error.clear();
    op.count = 0;
    if (result == -ECANCELED) {
      op.error = asio::error::operation_aborted;
    } else if (result < 0) {
      op.error = system_error(-result);
    } else if (result == 0 && op.what == request::write) {
      op.error = std::make_error_code(std::errc::io_error);
    } else if (op.what != request::sync) {
      op.count = static_cast<std::uint64_t>(result);
    }
  }

  driver_host& host_;
  thread_crew helper_;
  io_uring ring_{};
  registered_files files_;
  std::shared_ptr<registered_pools> pools_;
  std::optional<asio::posix::stream_descriptor> watch_;
  bool armed_ = false;
  unsigned most_owed_ = 0;     // the completion queue's size
  unsigned most_issued_ = 0;   // operations in the system at once
  unsigned owed_ = 0;          // completions still to come, cancellations included
  unsigned issued_ = 0;
};

}  // namespace

std::unique_ptr<driver> make_uring_driver(driver_host& host, const backend_options& options) {
  return std::make_unique<uring_driver>(host, options.depth);
}

}  // namespace contrail::io::detail
