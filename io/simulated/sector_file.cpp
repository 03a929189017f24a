#include "simulated/sector_file.hpp"

#include <algorithm>
#include <cstring>

namespace contrail::io::detail {

namespace {

std::uint64_t sectors_for(std::uint64_t bytes) noexcept { return (bytes + sector_bytes - 1) / sector_bytes; }

void copy_sector(const std::string& from, std::string& to, std::uint64_t sector) {
  const std::uint64_t begin = sector * sector_bytes;
  for (std::uint64_t at = begin; at < begin + sector_bytes && at < to.size(); ++at) to[at] = at < from.size() ? from[at] : '\0';
}

}  // namespace

std::size_t sector_file::read(std::uint64_t offset, void* into, std::size_t bytes) const noexcept {
  if (offset >= live_.size()) return 0;
  const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, live_.size() - offset));
  std::memcpy(into, live_.data() + offset, n);
  return n;
}

void sector_file::mark(std::uint64_t first, std::uint64_t last) {
  if (sectors_.size() < last) sectors_.resize(last, 0);
  for (std::uint64_t s = first; s < last; ++s) {
    sectors_[s] = static_cast<std::uint8_t>((sectors_[s] | dirty) & ~lost);
  }
}

void sector_file::set_length(std::uint64_t bytes) {
  if (bytes == live_.size()) return;
  live_.resize(bytes, '\0');
  length_ = length_state::dirty;
}

void sector_file::write(std::uint64_t offset, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (offset + bytes > live_.size()) set_length(offset + bytes);
  std::memcpy(live_.data() + offset, from, bytes);
  const std::uint64_t first = offset / sector_bytes;
  const std::uint64_t last = sectors_for(offset + bytes);
  mark(first, last);
  for (std::uint64_t s = first; s < last; ++s) sectors_[s] |= allocated;
}

void sector_file::resize(std::uint64_t bytes) {
  const std::uint64_t before = live_.size();
  set_length(bytes);
  if (bytes >= before) return;
  // What was behind the end must not come back when the file grows again.
  mark(bytes / sector_bytes, std::max(sectors_for(before), sectors_for(durable_.size())));
  for (std::uint64_t s = sectors_for(bytes); s < sectors_.size(); ++s) sectors_[s] &= static_cast<std::uint8_t>(~allocated);
}

void sector_file::reserve(std::uint64_t bytes) {
  if (bytes > live_.size()) set_length(bytes);
  const std::uint64_t end = sectors_for(bytes);
  if (sectors_.size() < end) sectors_.resize(end, 0);
  for (std::uint64_t s = 0; s < end; ++s) sectors_[s] |= allocated;
}

void sector_file::sync() {
  if (durable_.size() < live_.size()) durable_.resize(live_.size(), '\0');
  for (std::uint64_t s = 0; s < sectors_.size(); ++s) {
    if ((sectors_[s] & dirty) == 0) continue;
    copy_sector(live_, durable_, s);
    sectors_[s] &= static_cast<std::uint8_t>(~dirty);
  }
  if (length_ != length_state::dirty) return;
  durable_length_ = live_.size();
  durable_.resize(durable_length_);
  length_ = length_state::clean;
}

void sector_file::lose() {
  for (std::uint8_t& s : sectors_) {
    if ((s & dirty) != 0) s = static_cast<std::uint8_t>((s | lost) & ~dirty);
  }
  if (length_ == length_state::dirty) length_ = length_state::lost;
}

void sector_file::replace(std::string_view bytes) {
  live_ = bytes;
  durable_ = bytes;
  durable_length_ = bytes.size();
  sectors_.assign(sectors_for(bytes.size()), allocated);
  length_ = length_state::clean;
}

std::uint64_t sector_file::sectors() const noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(sectors_.begin(), sectors_.end(), [](std::uint8_t s) { return (s & allocated) != 0; }));
}

std::uint64_t sector_file::missing_sectors(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  std::uint64_t missing = 0;
  for (std::uint64_t s = offset / sector_bytes; s < sectors_for(offset + bytes); ++s) {
    if (s >= sectors_.size() || (sectors_[s] & allocated) == 0) ++missing;
  }
  return missing;
}

std::string sector_file::after_crash(crash_mode mode, disk_random& random) const {
  std::uint64_t length = durable_length_;
  if (length_ == length_state::dirty) {
    if (mode == crash_mode::best) length = live_.size();
    if (mode == crash_mode::seeded) {
      // Growing, a file may have been caught anywhere on its way.
      const std::uint64_t way = random.below(3);
      const std::uint64_t least = std::min<std::uint64_t>(durable_length_, live_.size());
      const std::uint64_t most = std::max<std::uint64_t>(durable_length_, live_.size());
      if (way == 1) length = live_.size();
      if (way == 2) length = least + random.below(sectors_for(most - least) + 1) * sector_bytes;
      length = std::min(length, most);
    }
  }
  std::string out = durable_;
  out.resize(length, '\0');
  for (std::uint64_t s = 0; s < sectors_.size(); ++s) {
    if ((sectors_[s] & dirty) == 0 || mode == crash_mode::worst) continue;
    if (mode == crash_mode::best || random.coin()) copy_sector(live_, out, s);
  }
  return out;
}

}  // namespace contrail::io::detail
