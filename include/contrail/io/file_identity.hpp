#pragma once

#include <cstdint>
#include <optional>

namespace contrail::io {

struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const file_identity&) const = default;
};

/// What `file_facts` says in `device` and `inode`, of a file that is open as a descriptor or handle of the system. For engines that open
/// files by themselves. Nothing when the system does not tell. Blocks. Any thread.
std::optional<file_identity> identity_of(std::intptr_t native) noexcept;

}  // namespace contrail::io
