#pragma once

#include <contrail/io/detail/operation.hpp>

namespace contrail::io::detail {

struct file_state;

/// Does what the operation asks for by blocking system calls and fills in its result. Never throws.
void perform(operation& op) noexcept;
/// After a read: what it brought into the page cache goes again.
void drop_from_cache(const operation& op) noexcept;
/// Closes the descriptors of a file.
void close_file(file_state& file) noexcept;

}  // namespace contrail::io::detail
