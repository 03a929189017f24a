#pragma once

#include <chrono>
#include <cstdint>

namespace contrail::pagestore {

/// Wall clock: nanoseconds since 1970, UTC.
inline std::uint64_t now_ns() noexcept {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

}  // namespace contrail::pagestore
