#include "posix/mapped_residency.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

constexpr std::uint64_t usual_window = std::uint64_t{512} << 10;

/// The kernel says of a file that the process may not write and does not own that all of it is resident.
bool tells_the_truth(int fd, const struct ::stat& facts) noexcept {
  const uid_t self = ::geteuid();
  return self == 0 || self == facts.st_uid || ::faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

/// How far ahead of a reader the kernel may read, in bytes; twice what the device has, which is what sequential readers get.
std::uint64_t read_ahead_window(const struct ::stat& facts) noexcept {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/sys/class/bdi/%u:%u/read_ahead_kb", major(facts.st_dev), minor(facts.st_dev));
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return usual_window;
  std::array<char, 32> text{};
  const ssize_t n = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  std::uint64_t kib = 0;
  for (ssize_t i = 0; i < n && text[static_cast<std::size_t>(i)] >= '0' && text[static_cast<std::size_t>(i)] <= '9' && kib < (1U << 20); ++i) {
    kib = kib * 10 + static_cast<std::uint64_t>(text[static_cast<std::size_t>(i)] - '0');
  }
  return kib * 2048;
}

class mapped_residency final : public residency {
 public:
  mapped_residency(void* map, std::uint64_t bytes, std::uint64_t window) noexcept
      : map_(static_cast<std::byte*>(map)), bytes_(bytes), window_(window), page_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) {}
  ~mapped_residency() override { ::munmap(map_, bytes_); }
  mapped_residency(const mapped_residency&) = delete;
  mapped_residency& operator=(const mapped_residency&) = delete;

  /// A page that ends what a sequential reader had fetched carries a mark: reading it through the cache would make the kernel fetch the
  /// next window. So what is closer than a window to a page that is missing counts as missing.
  run look(std::uint64_t offset, std::size_t bytes) noexcept override {
    if (offset >= bytes_) return {bytes, false};
    const std::uint64_t end = std::min<std::uint64_t>(bytes_, offset + bytes);
    const std::uint64_t wanted = std::min(bytes_, end + window_);
    if (offset < known_first_ || offset >= known_end_) known_first_ = known_end_ = offset / page_ * page_;
    bool complete = true;
    while (complete && known_end_ < wanted) complete = extend();
    if (known_end_ >= wanted) return {static_cast<std::size_t>(end - offset), true};
    const std::uint64_t safe = known_end_ > window_ ? (known_end_ - window_) / page_ * page_ : 0;
    if (safe > offset) return {static_cast<std::size_t>(std::min(end, safe) - offset), true};
    return {static_cast<std::size_t>(end - offset), false};
  }

  /// Judged by what was resident before our own reads came near: reading the last of what a sequential reader had fetched makes the kernel
  /// fetch more, which must not pass for what was there.
  run look_exactly(std::uint64_t offset, std::size_t bytes) noexcept override {
    if (offset >= bytes_) return {bytes, false};
    const std::uint64_t end = std::min<std::uint64_t>(bytes_, offset + bytes);
    if (!remember(offset / page_ * page_, std::min(bytes_, end + window_))) return {static_cast<std::size_t>(end - offset), true};
    auto at = static_cast<std::size_t>((offset - memory_first_) / page_);
    const bool resident = memory_[at] != 0;
    std::uint64_t until = offset / page_ * page_;
    while (until < end && (memory_[at] != 0) == resident) {
      until += page_;
      ++at;
    }
    return {static_cast<std::size_t>(std::min(end, until) - offset), resident};
  }

 private:
  /// Looks at the next pages behind what is known to be resident; false when one is missing.
  bool extend() noexcept {
    std::array<unsigned char, 64> pages;
    const std::uint64_t length = std::min<std::uint64_t>(pages.size() * page_, bytes_ - known_end_);
    if (::mincore(map_ + known_end_, length, pages.data()) != 0) return false;
    const auto count = static_cast<std::size_t>((length + page_ - 1) / page_);
    std::size_t present = 0;
    while (present < count && (pages[present] & 1U) != 0) ++present;
    known_end_ = std::min(bytes_, known_end_ + present * page_);
    return present == count;
  }

  /// Makes `memory_` reach from `first` to `end`, both in bytes. False when the system does not say.
  bool remember(std::uint64_t first, std::uint64_t end) noexcept {
    constexpr std::uint64_t behind = std::uint64_t{8} << 20;   // several readers, not all at one place
    try {
      const std::uint64_t known = memory_first_ + memory_.size() * page_;
      if (first < memory_first_ || first > known) {
        memory_.clear();
        memory_first_ = first;
      } else if (first - memory_first_ > 2 * behind) {
        const std::uint64_t old = (first - memory_first_ - behind) / page_;
        memory_.erase(memory_.begin(), memory_.begin() + static_cast<std::ptrdiff_t>(old));
        memory_first_ += old * page_;
      }
      while (memory_first_ + memory_.size() * page_ < end) {
        const std::uint64_t from = memory_first_ + memory_.size() * page_;
        const std::uint64_t length = std::min<std::uint64_t>(64 * page_, bytes_ - from);
        const std::size_t old = memory_.size();
        memory_.resize(old + static_cast<std::size_t>((length + page_ - 1) / page_));
        if (::mincore(map_ + from, length, memory_.data() + old) != 0) {
          memory_.resize(old);
          return false;
        }
        for (std::size_t i = old; i < memory_.size(); ++i) memory_[i] &= 1U;
      }
      return true;
    } catch (...) {
      return false;   // no memory for a few thousand bytes
    }
  }

  std::byte* map_;
  std::uint64_t bytes_;
  std::uint64_t window_;
  std::uint64_t page_;
  std::uint64_t known_first_ = 0;   // resident when it was looked at, a window ago at most
  std::uint64_t known_end_ = 0;
  std::vector<unsigned char> memory_;   // by page from memory_first_: was it resident
  std::uint64_t memory_first_ = 0;
};

}  // namespace

std::unique_ptr<residency> map_residency(int fd, const struct ::stat& facts) {
  const auto bytes = static_cast<std::uint64_t>(facts.st_size);
  if (bytes == 0 || !tells_the_truth(fd, facts)) return nullptr;
  // No access at all: it is only ever asked about.
  void* map = ::mmap(nullptr, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (map == MAP_FAILED) return nullptr;
  auto* made = new (std::nothrow) mapped_residency(map, bytes, read_ahead_window(facts));
  if (made == nullptr) ::munmap(map, bytes);
  return std::unique_ptr<residency>(made);
}

}  // namespace contrail::io::detail
