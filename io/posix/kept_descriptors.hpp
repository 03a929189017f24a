#pragma once

#include <contrail/io/open_options.hpp>

#include <cstdint>

namespace contrail::io::detail {

struct file_state;

/// Descriptors for reading that belong to the process and stay open when their file object is closed: closing one would drop the POSIX
/// locks which the process holds on the file. One entry for each file, used again by later opens; an entry goes when it is not in use
/// and its file has lost its last name, so that nobody can come to it any more. Any thread.
///
/// Opens the file that `path_descriptor` (O_PATH) stands for into `file`. Throws std::system_error.
void open_kept(int path_descriptor, caching wanted, file_state& file);
void release_kept(const file_state& file) noexcept;

}  // namespace contrail::io::detail
