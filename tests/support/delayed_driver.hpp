#pragma once

#include "common/anchor.hpp"
#include "common/driver.hpp"
#include "common/file_state.hpp"
#include "common/request_queue.hpp"
#include "posix/perform.hpp"

#include <asio/execution_context.hpp>
#include <asio/query.hpp>

#include <cstdint>
#include <deque>
#include <memory>

/// A disk on which each read takes the same time, by a clock of its own: it stands still while anything can be done and jumps to the
/// next completion when nothing can. So a rate can be measured without any real time passing.
class delayed_driver final : public contrail::io::detail::driver {
 public:
  using operation = contrail::io::detail::operation;
  struct clock {
    std::uint64_t now_us = 0;
  };

  delayed_driver(contrail::io::detail::driver_host& host, clock& time, std::uint64_t read_us)
      : host_(host), time_(time), read_us_(read_us) {}

  bool issue(operation& op) noexcept override {
    const bool slow = op.what == contrail::io::detail::request::read;
    pending_.push_back({&op, time_.now_us + (slow ? read_us_ : 0)});
    return true;
  }
  void cancel(operation& op) noexcept override {
    for (auto& item : pending_) {
      if (item.op == &op) item.due_us = time_.now_us;
    }
  }
  void flush() noexcept override {}
  void reap(contrail::io::detail::operation_list& finished) noexcept override {
    while (!pending_.empty() && pending_.front().due_us <= time_.now_us) {
      contrail::io::detail::perform(*pending_.front().op);
      finished.push(pending_.front().op);
      pending_.pop_front();
    }
  }
  void arm() noexcept override {
    // Several turns without anything new: everybody waits for the disk.
    if (++idle_turns_ > 50) {
      idle_turns_ = 0;
      if (!pending_.empty() && pending_.front().due_us > time_.now_us) time_.now_us = pending_.front().due_us;
    }
    host_.wake();
  }
  void disarm() noexcept override {}
  bool copies_inline() const noexcept override { return false; }
  void drain() noexcept override {
    for (auto& item : pending_) item.due_us = 0;
    time_.now_us += read_us_;
  }
  void detach() noexcept override {}
  void close(contrail::io::detail::file_state& file) noexcept override { contrail::io::detail::close_file(file); }

 private:
  struct entry {
    operation* op;
    std::uint64_t due_us;
  };
  contrail::io::detail::driver_host& host_;
  clock& time_;
  std::uint64_t read_us_;
  std::deque<entry> pending_;   // by time: every read takes as long as the one before
  unsigned idle_turns_ = 0;
};

/// A file system on such a disk; `time` outlives it.
inline contrail::io::file_system make_delayed_files(const asio::any_io_executor& ex, delayed_driver::clock& time,
                                                    std::uint64_t read_us) {
  using namespace contrail::io;
  auto& anchor = asio::use_service<detail::anchor>(asio::query(ex, asio::execution::context));
  auto queue = std::make_shared<detail::request_queue>(ex, anchor.pools(), std::size_t{1} << 20);
  backend_info info;
  info.why = "test";
  queue->attach(std::make_unique<delayed_driver>(*queue, time, read_us), info);
  anchor.add(queue);
  return file_system(ex, std::move(queue));
}
