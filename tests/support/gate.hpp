#pragma once

#include <condition_variable>
#include <mutex>

/// A binary semaphore. Not the library's, which can lose a wake-up with mingw-w64.
class gate {
 public:
  explicit gate(bool open = false) : open_(open) {}
  void release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_one();
  }
  void acquire() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    open_ = false;
  }
  bool try_acquire() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool was = open_;
    open_ = false;
    return was;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_;
};
