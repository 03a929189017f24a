#pragma once

#include <filesystem>

namespace contrail::io::detail {

/// An open descriptor that holds the lock; closing it is what ends the lock, also when the process dies.
struct lock_state {
  lock_state(int fd, std::filesystem::path p) : descriptor(fd), path(std::move(p)) {}
  ~lock_state();
  lock_state(const lock_state&) = delete;
  lock_state& operator=(const lock_state&) = delete;

  int descriptor;
  std::filesystem::path path;
};

}  // namespace contrail::io::detail
