#include <contrail/io/held_lock.hpp>

#include "common/lock_state.hpp"

namespace contrail::io {

held_lock::held_lock() noexcept = default;
held_lock::held_lock(std::unique_ptr<detail::lock_state> state) noexcept : state_(std::move(state)) {}
held_lock::held_lock(held_lock&&) noexcept = default;
held_lock& held_lock::operator=(held_lock&&) noexcept = default;
held_lock::~held_lock() = default;

void held_lock::remove_and_release() noexcept {
  if (state_ != nullptr) state_->remove_name();
  state_.reset();
}

void held_lock::release() noexcept { state_.reset(); }

}  // namespace contrail::io
