#pragma once

#include "common/residency.hpp"

#include <cstdint>
#include <memory>

struct stat;

namespace contrail::io::detail {

/// The residency of an open file, through a mapping that is never touched: it needs neither the descriptor later nor a recent kernel.
/// Null where the system would not tell the truth, or gives no mapping.
std::unique_ptr<residency> map_residency(int fd, const struct ::stat& facts);

}  // namespace contrail::io::detail
