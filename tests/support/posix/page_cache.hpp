#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/// Which pages of a file are in the page cache.
inline std::vector<bool> resident_pages(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("open " + path.string());
  struct stat facts {};
  ::fstat(fd, &facts);
  const auto bytes = static_cast<std::size_t>(facts.st_size);
  std::vector<unsigned char> pages((bytes + 4095) / 4096);
  void* map = bytes == 0 ? nullptr : ::mmap(nullptr, bytes, PROT_NONE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (bytes == 0) return {};
  if (map == MAP_FAILED || ::mincore(map, bytes, pages.data()) != 0) throw std::runtime_error("mincore " + path.string());
  ::munmap(map, bytes);
  std::vector<bool> out;
  for (const unsigned char page : pages) out.push_back((page & 1U) != 0);
  return out;
}

inline std::size_t count_of(const std::vector<bool>& pages) {
  std::size_t n = 0;
  for (const bool page : pages) n += page ? 1U : 0U;
  return n;
}

inline std::size_t differences(const std::vector<bool>& a, const std::vector<bool>& b) {
  if (a.size() != b.size()) throw std::runtime_error("files of different length");
  std::size_t n = 0;
  for (std::size_t i = 0; i < a.size(); ++i) n += a[i] != b[i] ? 1U : 0U;
  return n;
}

/// Takes a file out of the page cache. False where that cannot be done: the file system is the page cache.
inline bool evict(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("open " + path.string());
  ::fsync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
  return count_of(resident_pages(path)) == 0;
}

/// Brings `bytes` from the front into the page cache as a sequential reader does, and waits for what the kernel reads ahead of it.
inline void warm_up(const std::filesystem::path& path, std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::vector<char> block(std::size_t{128} << 10);
  for (std::uint64_t at = 0; at < bytes;) {
    const auto n = ::pread(fd, block.data(), block.size(), static_cast<off_t>(at));
    if (n <= 0) break;
    at += static_cast<std::uint64_t>(n);
  }
  ::close(fd);
  for (std::size_t last = 0, same = 0; same < 5;) {
    const std::size_t now = count_of(resident_pages(path));
    same = now == last ? same + 1 : 0;
    last = now;
    ::usleep(10'000);
  }
}

/// What this process made the disk read so far, in bytes.
inline std::uint64_t disk_bytes_read() {
  const int fd = ::open("/proc/self/io", O_RDONLY | O_CLOEXEC);
  char text[512] = {};
  const auto n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  const std::string all(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t at = all.find("\nread_bytes: ");
  if (at == std::string::npos) throw std::runtime_error("/proc/self/io");
  return std::strtoull(all.c_str() + at + 13, nullptr, 10);
}

/// A file's pages before and after something was read, and what that made the disk read, in bytes.
struct residency_change {
  std::vector<bool> before;
  std::vector<bool> after;
  std::uint64_t from_disk = 0;
  bool kept() const { return differences(before, after) * 100 <= before.size(); }
};

/// Measures again, five times at most, until `good`: the system takes clean pages out of the cache whenever it likes, and a run that it
/// disturbed says nothing about the reader. A reader that changes the cache does so each time.
template <class Measure, class Good>
residency_change until_undisturbed(Measure measure, Good good) {
  residency_change found = measure();
  for (int again = 0; again < 4 && !good(found); ++again) found = measure();
  return found;
}
