#include "common/backends.hpp"
#include "common/file_state.hpp"
#include "common/perform.hpp"
#include "common/thread_crew.hpp"
#include "iocp/port.hpp"
#include "windows/errors.hpp"

#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/query.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace contrail::io::detail {

namespace {

/// One transfer; a count of bytes has 32 bits.
constexpr std::size_t most_at_once = 0x7ffff000;

/// A transfer that the system has. When its record is dropped unheard, with the context, so is the operation; until then the operation
/// keeps its memory and its file.
struct transfer_end {
  transfer_end(std::shared_ptr<driver_host> h, operation* o) noexcept : host(std::move(h)), op(o) {}
  transfer_end(const transfer_end&) = delete;
  transfer_end& operator=(const transfer_end&) = delete;
  ~transfer_end() {
    if (op != nullptr) op->finish(op, false);
  }
  std::shared_ptr<driver_host> host;   // outlives the handler, whatever thread the port gives it
  operation* op;
};

bool rides_the_port(const operation& op) noexcept { return op.what == request::read || op.what == request::write; }

/// Transfers are overlapped and end on the context's own completion port; what the system can only do by blocking (names, syncs, lengths)
/// goes to a helper thread.
class iocp_driver final : public driver {
 public:
  iocp_driver(driver_host& host, unsigned depth)
      : host_(host), port_(host.strand().get_inner_executor()), helper_(host, 1, &perform), most_issued_(depth) {
    in_system_.reserve(depth);
  }

  bool issue(operation& op) noexcept override {
    if (!rides_the_port(op)) return helper_.push(op);
    if (issued_ >= most_issued_) return false;
    auto alive = host_.share();
    if (alive == nullptr) return false;
    op.error.clear();
    op.count = 0;
    const std::intptr_t file = op.io.through_cache ? op.file->native_cached : op.file->native;
    overlapped_transfer what;
    what.write = op.what == request::write;
    what.offset = op.io.offset;
    what.data = op.io.data;
    what.bytes = static_cast<DWORD>(std::min(op.io.bytes, most_at_once));
    std::shared_ptr<transfer_end> end;
    try {
      end = std::make_shared<transfer_end>(std::move(alive), &op);
    } catch (...) {
      return false;
    }
    const begun now = port_.begin(file, what, [this, end](std::error_code ec, std::size_t n) {
      operation* const ended = std::exchange(end->op, nullptr);
      take_result(*ended, ec, n);
      {
        const std::scoped_lock lock(mutex_);
        done_.push(ended);
      }
      end->host->wake();
    });
    if (now.where == nullptr) {
      end->op = nullptr;
      if (now.error == std::errc::not_enough_memory) return false;
      ++issued_;
      take_result(op, now.error, 0);
      const std::scoped_lock lock(mutex_);
      done_.push(&op);
      return true;
    }
    ++issued_;
    in_system_.push_back({&op, as_handle(file), now.where});
    return true;
  }

  void cancel(operation& op) noexcept override {
    if (!rides_the_port(op)) {
      helper_.cancel(op);
      return;
    }
    // Should it have ended just now and its place be another's, that one is begun again: nobody asked for its cancellation.
    for (const issued& one : in_system_) {
      if (one.op == &op) ::CancelIoEx(one.file, one.where);
    }
  }

  void flush() noexcept override {}

  void reap(operation_list& finished) noexcept override {
    {
      const std::scoped_lock lock(mutex_);
      while (operation* op = done_.pop()) {
        --issued_;
        forget(op);
        finished.push(op);
      }
    }
    operation_list helped;
    helper_.reap(helped);
    while (operation* op = helped.pop()) {
      if (op->what == request::open && !op->error && !ended_) adopt(*op);
      finished.push(op);
    }
  }

  void arm() noexcept override {}   // each transfer in flight is work of the context, and wakes the host by itself
  void disarm() noexcept override {}
  bool copies_inline() const noexcept override { return true; }
  // NTFS does what lies behind the written part of a file inside WriteFile. Where that ends is its secret: each write counts.
  bool writes_inline() const noexcept override { return true; }

  void drain() noexcept override {
    ended_ = true;
    {
      const std::scoped_lock lock(mutex_);
      operation_list told;
      while (operation* op = done_.pop()) {
        forget(op);   // its record is gone
        told.push(op);
      }
      done_ = told;
    }
    // The system owns the rest until the port gives it back, for which Asio waits when its own part of the context ends.
    for (const issued& one : in_system_) ::CancelIoEx(one.file, one.where);
    in_system_.clear();
    helper_.drain();
  }

  void detach() noexcept override { port_.detach(); }

  void close(file_state& file) noexcept override { close_file(file); }

 private:
  struct issued {
    operation* op;
    HANDLE file;
    OVERLAPPED* where;
  };

  void forget(const operation* op) noexcept {
    std::erase_if(in_system_, [op](const issued& one) { return one.op == op; });
  }

  static void take_result(operation& op, std::error_code ec, std::size_t n) noexcept {
    op.error.clear();
    op.count = 0;
    const auto code = static_cast<unsigned long>(ec.value());
    if (ec == asio::error::eof || (ec && code == ERROR_HANDLE_EOF)) return;   // the queue says so of a read without bytes
    if (ec) {
      op.error = code == ERROR_OPERATION_ABORTED ? std::error_code(asio::error::operation_aborted) : windows_error(code);
    } else if (n == 0 && op.what == request::write && op.io.bytes != 0) {
      op.error = std::make_error_code(std::errc::io_error);
    } else {
      op.count = n;
    }
  }

  void adopt(operation& op) noexcept {
    op.error = port_.adopt(op.file->native);
    if (!op.error) op.error = port_.adopt(op.file->native_cached);
  }

  driver_host& host_;
  completion_port port_;
  thread_crew helper_;
  unsigned most_issued_;

  // The strand only.
  unsigned issued_ = 0;
  std::vector<issued> in_system_;
  bool ended_ = false;

  // Any thread.
  std::mutex mutex_;
  operation_list done_;
};

}  // namespace

backend_probe probe_iocp() {
  backend_probe probe;
  probe.kind = backend_kind::iocp;
  probe.available = true;
  probe.why = "overlapped transfers on the context's completion port";
  return probe;
}

std::unique_ptr<driver> make_iocp_driver(driver_host& host, const backend_options& options) {
  // An io_context is a port from its beginning. Other contexts get one when it is asked for, which ends before what stands on it.
  const asio::any_io_executor ex = host.strand().get_inner_executor();
  if (!asio::has_service<asio::detail::io_context_impl>(asio::query(ex, asio::execution::context))) {
    throw std::system_error(std::make_error_code(std::errc::not_supported), "iocp backend: needs an asio::io_context; use threads here");
  }
  return std::make_unique<iocp_driver>(host, options.depth);
}

}  // namespace contrail::io::detail
