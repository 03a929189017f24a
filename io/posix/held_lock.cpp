#include <contrail/io/held_lock.hpp>

#include "posix/lock_state.hpp"

#include <unistd.h>

namespace contrail::io {

namespace detail {
lock_state::~lock_state() { ::close(descriptor); }
}  // namespace detail

held_lock::held_lock() noexcept = default;
held_lock::held_lock(std::unique_ptr<detail::lock_state> state) noexcept : state_(std::move(state)) {}
held_lock::held_lock(held_lock&&) noexcept = default;
held_lock& held_lock::operator=(held_lock&&) noexcept = default;
held_lock::~held_lock() = default;

void held_lock::remove_and_release() noexcept {
  // Under the lock: who opened the file meanwhile finds, after locking, that it has no name any more, and starts again.
  if (state_ != nullptr) ::unlink(state_->path.c_str());
  state_.reset();
}

void held_lock::release() noexcept { state_.reset(); }

}  // namespace contrail::io
