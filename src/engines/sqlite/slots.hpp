#pragma once

#include <compare>
#include <cstdint>
#include <memory>

namespace contrail::sqlite {

/// Which file, whatever its names.
struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend constexpr auto operator<=>(const file_identity&, const file_identity&) = default;
};

/// Keeps one database for one user in this process. Whoever opens a database's file, even to look at its header, holds its slot:
/// the system drops *all* POSIX locks of a process on a file when any descriptor of it is closed, so a careless second opener would
/// take the locks of a running backup's connection. Also answers -505 within a process, without touching the file.
/// Nothing when the slot is taken. The slot is free again when the last owner is gone. Any thread.
std::shared_ptr<void> take_slot(file_identity file);

}  // namespace contrail::sqlite
