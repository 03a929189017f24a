#pragma once

namespace contrail::io::detail {

/// What a backend keeps of a lock that is held. Destroying it ends the lock.
struct lock_state {
  lock_state() = default;
  lock_state(const lock_state&) = delete;
  lock_state& operator=(const lock_state&) = delete;
  virtual ~lock_state() = default;
  /// Takes the name of the lock's file away. Under the lock: who opened the file meanwhile finds, after locking, that it has no name any
  /// more, and starts again.
  virtual void remove_name() noexcept = 0;
};

}  // namespace contrail::io::detail
