#pragma once

#include <filesystem>
#include <memory>

namespace contrail::io {

namespace detail {
struct lock_state;
}

/// An exclusive lock on a file, taken by `file_system::async_lock`. Ends with the object or its process, whatever happens; two handles in
/// one process exclude each other too. Move-only; the destructor does not block. Any thread.
class held_lock {
 public:
  held_lock() noexcept;
  explicit held_lock(std::unique_ptr<detail::lock_state> state) noexcept;
  held_lock(held_lock&&) noexcept;
  held_lock& operator=(held_lock&&) noexcept;
  ~held_lock();
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// Removes the lock's file while the lock is still held, then releases it. For locks whose file is nothing else. Blocks for one unlink.
  void remove_and_release() noexcept;
  void release() noexcept;

 private:
  std::unique_ptr<detail::lock_state> state_;
};

}  // namespace contrail::io
