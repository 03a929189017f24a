#pragma once

#include <contrail/io/detail/operation.hpp>

namespace contrail::io::detail {

/// Requests on names, and open. Throws std::system_error, std::bad_alloc.
void perform_on_names(operation& op);
/// Opens the file of `op` into `op.file`.
void open_file(operation& op);

}  // namespace contrail::io::detail
