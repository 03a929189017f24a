#pragma once

#include <cstddef>

namespace contrail::io::detail {

/// Page-aligned memory straight from the system: given out as it is touched, really given back. Throws std::bad_alloc.
std::byte* map_memory(std::size_t bytes);
void unmap_memory(std::byte* memory, std::size_t bytes) noexcept;

}  // namespace contrail::io::detail
