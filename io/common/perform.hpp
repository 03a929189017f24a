#pragma once

#include <contrail/io/detail/operation.hpp>

namespace contrail::io::detail {

struct file_state;

/// Does what the operation asks for by blocking system calls and fills in its result. Never throws.
void perform(operation& op) noexcept;

// The system's part of it; the build chooses the files. These throw std::system_error, std::bad_alloc.

/// Requests on names, and open.
void perform_on_names(operation& op);
/// Requests on an open file.
void perform_on_file(operation& op);

/// After a read: what it brought into the page cache goes again.
void drop_from_cache(const operation& op) noexcept;
/// Closes the descriptors of a file.
void close_file(file_state& file) noexcept;

}  // namespace contrail::io::detail
