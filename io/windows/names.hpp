#pragma once

#include <contrail/io/detail/operation.hpp>

#include <windows.h>

namespace contrail::io::detail {

/// Opens the file of `op` into `op.file`, for overlapped transfers.
void open_file(operation& op);
/// As far as the system's record of a file goes.
file_facts facts_of(const BY_HANDLE_FILE_INFORMATION& from) noexcept;

}  // namespace contrail::io::detail
