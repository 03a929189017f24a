#pragma once

#include "async/on_strand.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/post.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace contrail::detail {

class strand_registry;

/// A strand in an object that the user may keep beyond the context. When the context is shut down the strand is let go of (a strand that
/// outlives its context touches freed memory) and `gone` is called once, on the thread that destroys the context. Any thread.
class kept_strand {
 public:
  /// `strand` belongs to the context that `ex` leads to.
  static std::shared_ptr<kept_strand> make(const strand_type& strand);
  explicit kept_strand(strand_type strand) : strand_(std::move(strand)) {}
  kept_strand(const kept_strand&) = delete;
  kept_strand& operator=(const kept_strand&) = delete;
  ~kept_strand() = default;

  void on_gone(std::function<void()> gone);
  /// Empty when the context is gone.
  std::optional<strand_type> get() const;
  /// False when the context is gone: `f` was destroyed.
  template <typename F>
  bool post(F f) {
    const std::lock_guard lock(mutex_);   // held while posting: the context cannot go away under it
    if (!strand_) return false;
    asio::post(*strand_, std::move(f));
    return true;
  }
  /// The owner is done: no `gone` any more.
  void close();

 private:
  friend class strand_registry;
  void drop();

  mutable std::mutex mutex_;
  std::optional<strand_type> strand_;
  std::function<void()> gone_;
  std::weak_ptr<strand_registry> registry_;
};

}  // namespace contrail::detail
