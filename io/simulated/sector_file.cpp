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
  if (sectors_.size() < last) sectors_.resize(last);
  for (std::uint64_t s = first; s < last; ++s) {
    sectors_[s].dirty = true;
    sectors_[s].changed = changes_;
  }
}

void sector_file::set_length(std::uint64_t bytes) {
  if (bytes == live_.size()) return;
  live_.resize(bytes, '\0');
  length_.dirty = true;
  length_.changed = changes_;
}

void sector_file::write(std::uint64_t offset, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  ++changes_;
  if (offset + bytes > live_.size()) set_length(offset + bytes);
  std::memcpy(live_.data() + offset, from, bytes);
  const std::uint64_t first = offset / sector_bytes;
  const std::uint64_t last = sectors_for(offset + bytes);
  mark(first, last);
  for (std::uint64_t s = first; s < last; ++s) sectors_[s].allocated = true;
}

void sector_file::resize(std::uint64_t bytes) {
  const std::uint64_t before = live_.size();
  ++changes_;
  set_length(bytes);
  if (bytes >= before) return;
  // What was behind the end must not come back when the file grows again.
  mark(bytes / sector_bytes, std::max(sectors_for(before), sectors_for(durable_.size())));
  for (std::uint64_t s = sectors_for(bytes); s < sectors_.size(); ++s) sectors_[s].allocated = false;
}

void sector_file::reserve(std::uint64_t bytes) {
  ++changes_;
  if (bytes > live_.size()) set_length(bytes);
  const std::uint64_t end = sectors_for(bytes);
  if (sectors_.size() < end) sectors_.resize(end);
  for (std::uint64_t s = 0; s < end; ++s) sectors_[s].allocated = true;
}

sector_file::moment sector_file::now() const {
  moment then;
  then.bytes_ = live_;
  then.sectors_ = sectors_;
  then.length_ = length_;
  return then;
}

bool sector_file::settle(sector& now, const sector& then) noexcept {
  // Nothing to do then, or another sync, of the same or of more, was faster.
  if (!then.dirty || then.changed <= now.settled) return false;
  now.settled = then.changed;
  if (now.changed == then.changed) now.dirty = false;
  return true;
}

void sector_file::sync(const moment& then) {
  if (durable_.size() < then.bytes_.size()) durable_.resize(then.bytes_.size(), '\0');
  const std::uint64_t known = std::min(sectors_.size(), then.sectors_.size());
  for (std::uint64_t s = 0; s < known; ++s) {
    if (settle(sectors_[s], then.sectors_[s])) copy_sector(then.bytes_, durable_, s);
  }
  if (!settle(length_, then.length_)) return;
  durable_length_ = then.bytes_.size();
  durable_.resize(durable_length_);
}

void sector_file::lose(const moment& then) {
  const std::uint64_t known = std::min(sectors_.size(), then.sectors_.size());
  for (std::uint64_t s = 0; s < known; ++s) settle(sectors_[s], then.sectors_[s]);
  settle(length_, then.length_);
}

void sector_file::replace(std::string_view bytes) {
  live_ = bytes;
  durable_ = bytes;
  durable_length_ = bytes.size();
  sector whole;
  whole.changed = whole.settled = ++changes_;
  length_ = whole;
  whole.allocated = true;
  sectors_.assign(sectors_for(bytes.size()), whole);
}

std::uint64_t sector_file::sectors() const noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(sectors_.begin(), sectors_.end(), [](const sector& s) { return s.allocated; }));
}

std::uint64_t sector_file::missing_sectors(std::uint64_t offset, std::uint64_t bytes) const noexcept {
  std::uint64_t missing = 0;
  for (std::uint64_t s = offset / sector_bytes; s < sectors_for(offset + bytes); ++s) {
    if (s >= sectors_.size() || !sectors_[s].allocated) ++missing;
  }
  return missing;
}

std::string sector_file::after_crash(crash_mode mode, disk_random& random) const {
  std::uint64_t length = durable_length_;
  if (length_.dirty) {
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
    if (!sectors_[s].dirty || mode == crash_mode::worst) continue;
    if (mode == crash_mode::best || random.coin()) copy_sector(live_, out, s);
  }
  return out;
}

}  // namespace contrail::io::detail
