#include "common/thread_crew.hpp"

#include "common/driver.hpp"

#include <asio/error.hpp>

namespace contrail::io::detail {

namespace {

void abandon(operation& op) noexcept {
  op.error = asio::error::operation_aborted;
  op.count = 0;
}

}  // namespace

thread_crew::thread_crew(driver_host& host, unsigned threads, perform_function perform)
    : host_(host), wanted_(threads), perform_(perform) {}

thread_crew::~thread_crew() { drain(); }

bool thread_crew::push(operation& op) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    // Those that sleep may have been given work already that they have not woken up for.
    if (queued_ >= idle_ && threads_.size() < wanted_) {
      try {
        threads_.emplace_back([this] { work(); });
      } catch (...) {
        if (threads_.empty()) return false;
      }
    }
    todo_.push(&op);
    ++queued_;
  }
  work_there_.notify_one();
  return true;
}

void thread_crew::cancel(operation& op) noexcept {
  bool found = false;
  {
    const std::scoped_lock lock(mutex_);
    operation_list rest;
    while (operation* other = todo_.pop()) {
      if (other != &op) {
        rest.push(other);
        continue;
      }
      found = true;
      --queued_;
      abandon(op);
      done_.push(&op);
    }
    todo_ = rest;
  }
  if (found) host_.wake();
}

void thread_crew::reap(operation_list& finished) noexcept {
  const std::scoped_lock lock(mutex_);
  while (operation* op = done_.pop()) finished.push(op);
}

void thread_crew::drain() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    queued_ = 0;
    while (operation* op = todo_.pop()) {
      abandon(*op);
      done_.push(op);
    }
  }
  work_there_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void thread_crew::work() noexcept {
  for (;;) {
    operation* op = nullptr;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      work_there_.wait(lock, [this] { return ending_ || !todo_.empty(); });
      --idle_;
      op = todo_.pop();
      if (op == nullptr) return;
      --queued_;
    }
    perform_(*op);
    bool tell = false;
    {
      const std::scoped_lock lock(mutex_);
      done_.push(op);
      tell = !ending_;
    }
    if (tell) host_.wake();
  }
}

}  // namespace contrail::io::detail
