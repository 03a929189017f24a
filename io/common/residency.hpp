#pragma once

#include <cstddef>
#include <cstdint>

namespace contrail::io::detail {

/// What of a file is in the page cache. One thread at a time; never waits for the disk.
class residency {
 public:
  virtual ~residency() = default;
  struct run {
    std::size_t bytes = 0;   ///< from the offset asked for; at least 1
    bool resident = false;
  };
  /// The run that `offset` stands in, as far as `bytes`; for who can read past the cache: resident is only what can be read through it
  /// without setting off read-ahead, and everything up to `bytes` is absent when the front is.
  virtual run look(std::uint64_t offset, std::size_t bytes) noexcept = 0;
  /// The run that `offset` stands in, page by page; for who can only read through the cache.
  virtual run look_exactly(std::uint64_t offset, std::size_t bytes) noexcept = 0;
};

}  // namespace contrail::io::detail
