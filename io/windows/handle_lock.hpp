#pragma once

#include "common/lock_state.hpp"
#include "windows/handle.hpp"

#include <filesystem>

namespace contrail::io::detail {

/// A handle that holds the lock; closing it is what ends the lock, also when the process dies.
class handle_lock final : public lock_state {
 public:
  explicit handle_lock(unique_handle handle) noexcept : handle_(std::move(handle)) {}
  void remove_name() noexcept override;

 private:
  unique_handle handle_;
};

/// Never waits: `std::errc::resource_unavailable_try_again` when somebody holds it. Throws std::system_error.
unique_handle lock_file(const std::filesystem::path& path);

}  // namespace contrail::io::detail
