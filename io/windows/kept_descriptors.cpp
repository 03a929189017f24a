#include <contrail/io/kept_descriptors.hpp>

namespace contrail::io {

/// Nothing is ever kept: closing a handle leaves the locks of others alone.
bool forget_kept_descriptors(std::uint64_t, std::uint64_t) noexcept { return true; }

}  // namespace contrail::io
