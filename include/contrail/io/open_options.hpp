#pragma once

#include <cstddef>
#include <cstdint>

namespace contrail::io {

enum class access : std::uint8_t { read, write, read_write };

/// cached: through the page cache. direct: past it; where the file system refuses, through it (see `file_facts::cache`).
/// neutral, for reading: what is in the page cache is read from there, without waiting; what is not is read past it. So neither a cold
/// file fills the cache nor a warm one is read from the disk again, and what was resident stays. Where the file system refuses direct
/// transfers, what a read brought in goes again. Neutral means direct with a writing `mode`, and where the system does not tell what is
/// resident: to a process that neither owns the file nor may write it (cached, where it cannot be direct either).
enum class caching : std::uint8_t { cached, direct, neutral };

/// Trivially destructible: pass a named object (GCC 12).
struct open_options {
  access mode = access::read;
  caching cache = caching::cached;
  bool create = false;      ///< make the file when it is missing, with rights 0600
  bool exclusive = false;   ///< with create: fail when it is there
  bool truncate = false;
  /// Opening, reading and closing leave the POSIX locks that this process holds on the file alone (closing an ordinary descriptor drops
  /// them all). For reading; with another `mode` the open fails with `std::errc::invalid_argument`. Where the system has no descriptors
  /// that stand outside the process's table, one descriptor (two when not cached) of each such file is kept open and used again by later
  /// opens, until the file has no name any more.
  bool lock_neutral = false;
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
