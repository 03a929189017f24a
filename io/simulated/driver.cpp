#include "simulated/driver.hpp"

#include "common/file_state.hpp"

#include <asio/error.hpp>

#include <algorithm>
#include <utility>

namespace contrail::io::detail {

simulated_driver::simulated_driver(driver_host& host, std::shared_ptr<disk_core> core)
    : host_(host), core_(std::move(core)), epoch_(core_->epoch()) {
  waiting_.reserve(core_->options().depth);
}

simulated_driver::~simulated_driver() = default;

bool simulated_driver::issue(operation& op) noexcept {
  if (waiting_.size() >= core_->options().depth) return false;
  waiting one;
  one.op = &op;
  one.due_us = core_->due();
  one.scope = core_->scope_of(op, epoch_);
  const auto at = std::find_if(waiting_.begin(), waiting_.end(), [&one](const waiting& w) { return w.due_us <= one.due_us; });
  waiting_.insert(at, std::move(one));   // has room; behind those of the same time
  core_->count_in_flight(1);
  idle_turns_ = 0;
  return true;
}

void simulated_driver::cancel(operation& op) noexcept {
  // The system is about to do it and cannot be stopped, or has not begun.
  if (!core_->stops()) return;
  const auto at = std::find_if(waiting_.begin(), waiting_.end(), [&op](const waiting& w) { return w.op == &op; });
  if (at == waiting_.end()) return;
  waiting one = std::move(*at);
  waiting_.erase(at);
  one.aborted = true;
  one.due_us = 0;
  waiting_.push_back(std::move(one));
}

bool simulated_driver::finish(const waiting& one, operation_list& finished) noexcept {
  if (one.aborted) {
    one.op->error = asio::error::operation_aborted;
    one.op->count = 0;
  } else if (!core_->perform(*one.op, one.scope, epoch_)) {
    return false;
  }
  core_->count_in_flight(-1);
  finished.push(one.op);
  return true;
}

void simulated_driver::reap(operation_list& finished) noexcept {
  const std::uint64_t now = core_->now();
  while (!waiting_.empty() && (draining_ || waiting_.back().due_us <= now)) {
    const waiting one = waiting_.back();
    if (!finish(one, finished)) return;
    waiting_.pop_back();
    idle_turns_ = 0;
  }
}

void simulated_driver::arm() noexcept {
  if (core_->halted()) return;   // whoever waits, waits for ever
  if (++idle_turns_ > core_->options().patience) {
    idle_turns_ = 0;
    if (!waiting_.empty()) core_->advance(waiting_.back().due_us);
  }
  host_.wake();
}

void simulated_driver::drain() noexcept {
  draining_ = true;
  const bool dead = core_->halted();
  for (waiting& one : waiting_) one.aborted = one.aborted || dead || core_->stops();
}

void simulated_driver::close(file_state& file) noexcept { core_->close(file.native); }

}  // namespace contrail::io::detail
