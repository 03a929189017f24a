#include "posix/reading.hpp"

#include "common/file_state.hpp"
#include "posix/mapped_residency.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

constexpr unsigned usual_alignment = 4096;

}  // namespace

int reopen(int descriptor, int flags) noexcept {
  std::array<char, 48> path{};
  // Of this thread: it may have a table of its own.
  std::snprintf(path.data(), path.size(), "/proc/thread-self/fd/%d", descriptor);
  int fd = ::open(path.data(), O_CLOEXEC | flags);
  while (fd < 0 && errno == EINTR) fd = ::open(path.data(), O_CLOEXEC | flags);
  return fd;
}

int reopen_for_reading(int descriptor) {
  const int fd = reopen(descriptor, O_RDONLY);
  if (fd < 0) throw std::system_error(errno, std::system_category());
  return fd;
}

int try_reopen_direct(int descriptor) {
  // Asked first: to open and then to close again would drop the locks that the process holds on the file.
  return direct_alignment(descriptor) == 0 ? -1 : reopen(descriptor, O_RDONLY | O_DIRECT);
}

unsigned direct_alignment(int descriptor) {
#ifdef STATX_DIOALIGN
  struct statx facts {};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) == 0 && (facts.stx_mask & STATX_DIOALIGN) != 0) {
    if (facts.stx_dio_offset_align == 0) return 0;
    return std::max(facts.stx_dio_offset_align, facts.stx_dio_mem_align);
  }
#endif
  (void)descriptor;
  return usual_alignment;
}

void take_reading(const reading_pair& pair, file_state& file) noexcept {
  const bool both = pair.direct >= 0;
  file.native = both ? pair.direct : pair.cached;
  file.native_cached = both ? pair.cached : -1;
}

void describe_reading(const reading_pair& pair, caching wanted, file_state& file) {
  file.facts.cache = wanted == caching::direct && pair.direct < 0 ? caching::cached : wanted;
  file.facts.alignment = pair.direct >= 0 && wanted != caching::cached ? direct_alignment(pair.direct) : 1;
  if (wanted != caching::neutral) {
    (void)::posix_fadvise(pair.cached, 0, 0, POSIX_FADV_NORMAL);   // a kept descriptor may have served otherwise
    return;
  }
  struct stat facts {};
  if (::fstat(pair.cached, &facts) == 0) file.cache = map_residency(pair.cached, facts);
  // Should a page go between the look and the read, then only what was asked for is fetched, not a window.
  (void)::posix_fadvise(pair.cached, 0, 0, POSIX_FADV_RANDOM);
}

}  // namespace contrail::io::detail
