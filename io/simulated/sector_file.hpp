#pragma once

#include "simulated/random.hpp"

#include <contrail/io/simulated_disk.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace contrail::io::detail {

inline constexpr std::uint64_t sector_bytes = 512;

/// The bytes of one file twice: as they are read, and as they are on the disk; and what is known of each sector.
class sector_file {
  struct sector {
    std::uint64_t changed = 0;   ///< by which change, last
    std::uint64_t settled = 0;   ///< no later sync decides about changes up to this one: they are on the disk, or lost
    bool dirty = false;
    bool allocated = false;
  };

 public:
  /// What a sync is about: the file as it was when the sync was asked for.
  class moment {
    friend sector_file;
    struct one {
      std::uint64_t number = 0, changed = 0;
      std::size_t bytes = 0;   ///< of it within the file
    };
    std::uint64_t bytes_ = 0;      ///< length of the file
    std::vector<one> sectors_;     ///< those that were not on the disk
    std::string content_;          ///< of them
    sector length_;
  };

  std::uint64_t length() const noexcept { return live_.size(); }
  const std::string& bytes() const noexcept { return live_; }
  std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const noexcept;
  void write(std::uint64_t offset, const void* from, std::size_t bytes);
  void resize(std::uint64_t bytes);
  /// Takes room for the first `bytes` bytes; the length is at least that.
  void reserve(std::uint64_t bytes);
  moment now() const;
  /// As the file was then it is on the disk; what was written since is not.
  void sync(const moment& then);
  /// What was not synced then is lost, but for what was or is written again.
  void lose(const moment& then);
  /// As after write and sync.
  void replace(std::string bytes);

  std::uint64_t sectors() const noexcept;
  /// Sectors of this range that have no room on the disk yet.
  std::uint64_t missing_sectors(std::uint64_t offset, std::uint64_t bytes) const noexcept;

  /// What a crash leaves, as bytes.
  std::string after_crash(crash_mode mode, disk_random& random) const;

 private:
  /// Is this change still to be decided? It is now; the sector stays dirty when it has changed since.
  static bool settle(sector& now, std::uint64_t changed) noexcept;
  void mark(std::uint64_t first, std::uint64_t last);   // sectors [first, last)
  void set_length(std::uint64_t bytes);

  std::string live_;
  std::string durable_;                  // may be longer than the length that is durable
  std::uint64_t durable_length_ = 0;
  std::vector<sector> sectors_;
  sector length_;
  std::uint64_t changes_ = 0;
};

}  // namespace contrail::io::detail
