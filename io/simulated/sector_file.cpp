#include "simulated/sector_file.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace contrail::io::detail {

namespace {

std::uint64_t sectors_for(std::uint64_t bytes) noexcept { return (bytes + sector_bytes - 1) / sector_bytes; }

/// The part of a sector that lies within so many bytes.
std::size_t part_of(std::uint64_t sector, std::uint64_t bytes) noexcept {
  const std::uint64_t begin = sector * sector_bytes;
  return begin >= bytes ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(bytes - begin, sector_bytes));
}

/// As far as `to` reaches; zeros where `from` has nothing.
void put_sector(const char* from, std::size_t bytes, std::string& to, std::uint64_t sector) {
  const std::size_t all = part_of(sector, to.size());
  const std::size_t copied = std::min(all, bytes);
  if (all == 0) return;
  char* const at = to.data() + sector * sector_bytes;
  std::memcpy(at, from, copied);
  std::memset(at + copied, 0, all - copied);
}

void copy_sector(const std::string& from, std::string& to, std::uint64_t sector) {
  const std::size_t bytes = part_of(sector, from.size());
  put_sector(bytes == 0 ? from.data() : from.data() + sector * sector_bytes, bytes, to, sector);
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
  if (offset + bytes > live_.size()) {
    set_length(offset + bytes);
  } else if (offset + bytes > durable_length_) {
    length_.dirty = true;   // a sync that failed had forgotten it; with what stands there it is brought out again
    length_.changed = changes_;
  }
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
  then.bytes_ = live_.size();
  then.length_ = length_;
  for (std::uint64_t s = 0; s < sectors_.size(); ++s) {
    if (!sectors_[s].dirty) continue;
    moment::one m;
    m.number = s;
    m.changed = sectors_[s].changed;
    m.bytes = part_of(s, live_.size());
    then.sectors_.push_back(m);
    then.content_.append(live_, std::min<std::uint64_t>(s * sector_bytes, live_.size()), m.bytes);
  }
  return then;
}

bool sector_file::settle(sector& now, std::uint64_t changed) noexcept {
  // Another sync, of the same or of more, was faster.
  if (changed <= now.settled) return false;
  now.settled = changed;
  if (now.changed == changed) now.dirty = false;
  return true;
}

void sector_file::sync(const moment& then) {
  if (durable_.size() < then.bytes_) durable_.resize(then.bytes_, '\0');
  const char* content = then.content_.data();
  for (const moment::one& m : then.sectors_) {
    if (m.number < sectors_.size() && settle(sectors_[m.number], m.changed)) put_sector(content, m.bytes, durable_, m.number);
    content += m.bytes;
  }
  if (!then.length_.dirty || !settle(length_, then.length_.changed)) return;
  durable_length_ = then.bytes_;
  durable_.resize(durable_length_);
}

void sector_file::lose(const moment& then) {
  for (const moment::one& m : then.sectors_) {
    if (m.number < sectors_.size()) settle(sectors_[m.number], m.changed);
  }
  if (then.length_.dirty) settle(length_, then.length_.changed);
}

void sector_file::replace(std::string bytes) {
  durable_length_ = bytes.size();
  durable_ = bytes;
  live_ = std::move(bytes);
  sector whole;
  whole.changed = whole.settled = ++changes_;
  length_ = whole;
  whole.allocated = true;
  sectors_.assign(sectors_for(durable_length_), whole);
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
