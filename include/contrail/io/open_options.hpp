#pragma once

#include <cstddef>
#include <cstdint>

namespace contrail::io {

enum class access : std::uint8_t { read, write, read_write };

/// cached: through the page cache. direct: past it; where the file system refuses, through it (see `file_facts::cache`).
enum class caching : std::uint8_t { cached, direct };

/// Trivially destructible: pass a named object (GCC 12).
struct open_options {
  access mode = access::read;
  caching cache = caching::cached;
  bool create = false;      ///< make the file when it is missing, with rights 0600
  bool exclusive = false;   ///< with create: fail when it is there
  bool truncate = false;
};

/// Taken once, at open.
struct file_facts {
  std::uint64_t bytes = 0;
  /// Transfers whose offset, length and address are multiples of this go straight to the device; others are bounced. 1: no rule.
  std::uint32_t alignment = 1;
  caching cache = caching::cached;   ///< what was granted
  std::uint64_t device = 0;          ///< with `inode`: identity of the file
  std::uint64_t inode = 0;
  std::uint32_t mode = 0;            ///< permission bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

}  // namespace contrail::io
