#pragma once

#include "common/lock_state.hpp"

#include <filesystem>

namespace contrail::io::detail {

/// An open descriptor that holds the lock; closing it is what ends the lock, also when the process dies.
class descriptor_lock final : public lock_state {
 public:
  descriptor_lock(int descriptor, std::filesystem::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~descriptor_lock() override;
  void remove_name() noexcept override;

 private:
  int descriptor_;
  std::filesystem::path path_;
};

}  // namespace contrail::io::detail
