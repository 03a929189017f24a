#pragma once

#include <cstdint>

namespace contrail::io {

/// Closes the descriptors that lock-neutral opens keep of a file (see `open_options::lock_neutral`), unless one of them is in use or
/// something else in this process has the file open, whose locks would go with them. For who wants the process to be done with a file.
/// Blocks for a look at the process's descriptors. Any thread, while no other opens the file. False: some are kept still.
bool forget_kept_descriptors(std::uint64_t device, std::uint64_t inode) noexcept;

}  // namespace contrail::io
