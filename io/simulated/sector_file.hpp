#pragma once

#include "simulated/random.hpp"

#include <contrail/io/simulated_disk.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::io::detail {

inline constexpr std::uint64_t sector_bytes = 512;

/// The bytes of one file twice: as they are read, and as they are on the disk; and what is known of each sector.
class sector_file {
 public:
  std::uint64_t length() const noexcept { return live_.size(); }
  const std::string& bytes() const noexcept { return live_; }
  std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const noexcept;
  void write(std::uint64_t offset, const void* from, std::size_t bytes);
  void resize(std::uint64_t bytes);
  /// Takes room for the first `bytes` bytes; the length is at least that.
  void reserve(std::uint64_t bytes);
  void sync();
  /// What was not synced is lost, but for what is written again.
  void lose();
  /// As after write and sync.
  void replace(std::string_view bytes);

  std::uint64_t sectors() const noexcept;
  /// Sectors of this range that have no room on the disk yet.
  std::uint64_t missing_sectors(std::uint64_t offset, std::uint64_t bytes) const noexcept;

  /// What a crash leaves, as bytes.
  std::string after_crash(crash_mode mode, disk_random& random) const;

 private:
  static constexpr std::uint8_t dirty = 1, lost = 2, allocated = 4;
  enum class length_state : std::uint8_t { clean, dirty, lost };
  void mark(std::uint64_t first, std::uint64_t last);   // sectors [first, last)
  void set_length(std::uint64_t bytes);

  std::string live_;
  std::string durable_;                  // may be longer than the length that is durable
  std::uint64_t durable_length_ = 0;
  std::vector<std::uint8_t> sectors_;
  length_state length_ = length_state::clean;
};

}  // namespace contrail::io::detail
