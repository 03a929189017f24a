#include "common/perform.hpp"

#include "common/file_state.hpp"
#include "posix/kept_descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

/// The kernel transfers no more than this at once.
constexpr std::size_t most_at_once = 0x7ffff000;

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

template <typename Call>
auto retry(Call call) noexcept {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

void transfer(operation& op) noexcept {
  const int fd = static_cast<int>(op.io.through_cache ? op.file->native_cached : op.file->native);
  const std::size_t length = std::min(op.io.bytes, most_at_once);
  const auto offset = static_cast<off_t>(op.io.offset);
  const ssize_t done = retry([&] {
    if (op.io.nowait) {
      const iovec piece{op.io.data, length};
      return ::preadv2(fd, &piece, 1, offset, RWF_NOWAIT);
    }
    return op.what == request::read ? ::pread(fd, op.io.data, length, offset) : ::pwrite(fd, op.io.data, length, offset);
  });
  if (done < 0) {
    op.error = last_error();
  } else if (done == 0 && op.what == request::write) {
    op.error = std::make_error_code(std::errc::io_error);
  } else {
    op.count = static_cast<std::uint64_t>(done);
  }
  if (op.io.drop_after) drop_from_cache(op);
}

void allocate(operation& op, int fd) noexcept {
  if (op.offset == 0) return;
  const auto length = static_cast<off_t>(op.offset);
  if (retry([&] { return ::fallocate(fd, 0, 0, length); }) == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS) {
    op.error = last_error();
    return;
  }
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) {
    op.error = last_error();
  } else if (facts.st_size < length && retry([&] { return ::ftruncate(fd, length); }) != 0) {
    op.error = last_error();
  }
}

}  // namespace

void perform_on_file(operation& op) {
  // Of a file in the ring's table there is no descriptor but the one for its length.
  if (op.file->registered && op.what != request::size) {
    op.error = std::make_error_code(std::errc::bad_file_descriptor);
    return;
  }
  const int fd = static_cast<int>(op.file->registered ? op.file->native_facts : op.file->native);
  switch (op.what) {
    case request::read:
    case request::write: transfer(op); break;
    case request::sync:
      if (retry([&] { return ::fsync(fd); }) != 0) op.error = last_error();
      break;
    case request::allocate: allocate(op, fd); break;
    case request::resize:
      if (retry([&] { return ::ftruncate(fd, static_cast<off_t>(op.offset)); }) != 0) op.error = last_error();
      break;
    case request::size: {
      struct stat facts {};
      if (::fstat(fd, &facts) != 0) {
        op.error = last_error();
      } else {
        op.count = static_cast<std::uint64_t>(facts.st_size);
      }
      break;
    }
    default: op.error = std::make_error_code(std::errc::invalid_argument); break;
  }
}

void drop_from_cache(const operation& op) noexcept {
  (void)::posix_fadvise(static_cast<int>(op.file->native), static_cast<off_t>(op.io.offset), static_cast<off_t>(op.io.bytes),
                        POSIX_FADV_DONTNEED);
}

void close_file(file_state& file) noexcept {
  if (file.kept) {
    release_kept(file);
    return;
  }
  if (file.native >= 0) ::close(static_cast<int>(file.native));
  if (file.native_cached >= 0) ::close(static_cast<int>(file.native_cached));
  file.native = file.native_cached = -1;
}

}  // namespace contrail::io::detail
