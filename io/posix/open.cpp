#include "common/file_state.hpp"
#include "posix/names.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

constexpr std::uint32_t usual_alignment = 4096;

[[noreturn]] void fail_now() { throw std::system_error(errno, std::system_category()); }

int open_retrying(const char* path, int flags) {
  int fd = ::open(path, flags, 0600);
  while (fd < 0 && errno == EINTR) fd = ::open(path, flags, 0600);
  return fd;
}

/// 0: direct transfers are not possible after all.
std::uint32_t direct_alignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx facts {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) == 0 && (facts.stx_mask & STATX_DIOALIGN) != 0) {
    if (facts.stx_dio_offset_align == 0) return 0;
    return std::max(facts.stx_dio_offset_align, facts.stx_dio_mem_align);
  }
#endif
  (void)fd;
  return usual_alignment;
}

void set_status_flags(int fd, int flags) {
  if (::fcntl(fd, F_SETFL, flags) != 0) fail_now();
}

}  // namespace

void open_file(operation& op) {
  const open_options& options = op.names->options;
  int flags = O_CLOEXEC;
  switch (options.mode) {
    case access::read: flags |= O_RDONLY; break;
    case access::write: flags |= O_WRONLY; break;
    case access::read_write: flags |= O_RDWR; break;
  }
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;

  // Not to be stopped by a pipe that nobody writes to; and nothing is cut before it is known to be a regular file.
  file_state& file = *op.file;
  const int fd = open_retrying(op.names->first.c_str(), flags | O_NONBLOCK);
  if (fd < 0) fail_now();
  file.native = fd;
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) fail_now();
  if (S_ISDIR(facts.st_mode)) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
  if (!S_ISREG(facts.st_mode)) throw std::system_error(std::make_error_code(std::errc::invalid_argument), "not a regular file");
  if (options.truncate && facts.st_size != 0) {
    if (::ftruncate(fd, 0) != 0) fail_now();
    facts.st_size = 0;
  }

  file.facts.bytes = static_cast<std::uint64_t>(facts.st_size);
  file.facts.device = static_cast<std::uint64_t>(facts.st_dev);
  file.facts.inode = static_cast<std::uint64_t>(facts.st_ino);
  file.facts.mode = static_cast<std::uint32_t>(facts.st_mode & 07777U);
  file.facts.uid = facts.st_uid;
  file.facts.gid = facts.st_gid;

  // O_NONBLOCK must go: the ring would answer -EAGAIN instead of waiting for the disk.
  int status = 0;
  if (options.cache == caching::direct) {
    const std::uint32_t alignment = direct_alignment(fd);
    if (alignment != 0 && ::fcntl(fd, F_SETFL, O_DIRECT) == 0) {
      status = O_DIRECT;
      file.facts.cache = caching::direct;
      file.facts.alignment = alignment;
    }
  }
  set_status_flags(fd, status);
  if (file.facts.cache == caching::direct && options.mode != access::read) {
    // The same inode, whatever happened to the name meanwhile.
    const std::string again = "/proc/self/fd/" + std::to_string(fd);
    file.native_cached = open_retrying(again.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.native_cached < 0) {
      file.facts.cache = caching::cached;
      file.facts.alignment = 1;
      set_status_flags(fd, 0);
    }
  }
}

}  // namespace contrail::io::detail
