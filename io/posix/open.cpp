#include "common/file_state.hpp"
#include "posix/kept_descriptors.hpp"
#include "posix/names.hpp"
#include "posix/reading.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

[[noreturn]] void fail_now() { throw std::system_error(errno, std::system_category()); }

int open_retrying(const char* path, int flags) {
  int fd = ::open(path, flags, 0600);
  while (fd < 0 && errno == EINTR) fd = ::open(path, flags, 0600);
  return fd;
}

void set_status_flags(int fd, int flags) {
  if (::fcntl(fd, F_SETFL, flags) != 0) fail_now();
}

/// Fails unless it is a regular file.
void take_facts(const struct stat& facts, file_state& file) {
  if (S_ISDIR(facts.st_mode)) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
  if (!S_ISREG(facts.st_mode)) throw std::system_error(std::make_error_code(std::errc::invalid_argument), "not a regular file");
  file.facts = facts_of(facts);
}

void open_direct(file_state& file, bool for_writing) {
  const int fd = static_cast<int>(file.native);
  // O_NONBLOCK goes: the ring would answer -EAGAIN instead of waiting for the disk.
  const unsigned alignment = direct_alignment(fd);
  if (alignment == 0 || ::fcntl(fd, F_SETFL, O_DIRECT) != 0) {
    set_status_flags(fd, 0);
    return;
  }
  if (for_writing) {
    file.native_cached = reopen(fd, O_WRONLY);
    if (file.native_cached < 0) {
      set_status_flags(fd, 0);
      return;
    }
  }
  file.facts.cache = caching::direct;
  file.facts.alignment = alignment;
}

void open_neutral(file_state& file) {
  reading_pair pair;
  pair.cached = static_cast<int>(file.native);
  set_status_flags(pair.cached, 0);
  pair.direct = try_reopen_direct(pair.cached);
  take_reading(pair, file);
  describe_reading(pair, caching::neutral, file);
}

}  // namespace

path_descriptor::path_descriptor(operation& op) : path_descriptor() {
  const open_options& options = op.names->options;
  if (options.mode != access::read || options.create || options.truncate) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument), "lock_neutral is for reading");
  }
  fd_ = open_retrying(op.names->first.c_str(), O_PATH | O_CLOEXEC);
  if (fd_ < 0) fail_now();
  struct stat facts {};
  if (::fstat(fd_, &facts) != 0) fail_now();
  take_facts(facts, *op.file);
}

path_descriptor::~path_descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

void open_file(operation& op) {
  const open_options& options = op.names->options;
  file_state& file = *op.file;
  if (options.lock_neutral) {
    const path_descriptor path(op);
    open_kept(path.get(), options.cache, file);
    return;
  }
  int flags = O_CLOEXEC;
  switch (options.mode) {
    case access::read: flags |= O_RDONLY; break;
    case access::write: flags |= O_WRONLY; break;
    case access::read_write: flags |= O_RDWR; break;
  }
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;

  // Not to be stopped by a pipe that nobody writes to; and nothing is cut before it is known to be a regular file.
  const int fd = open_retrying(op.names->first.c_str(), flags | O_NONBLOCK);
  if (fd < 0) fail_now();
  file.native = fd;
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) fail_now();
  take_facts(facts, file);
  if (options.truncate && facts.st_size != 0) {
    if (::ftruncate(fd, 0) != 0) fail_now();
    file.facts.bytes = 0;
  }
  if (options.cache == caching::neutral && options.mode == access::read) {
    open_neutral(file);
  } else if (options.cache != caching::cached) {
    open_direct(file, options.mode != access::read);
  } else {
    set_status_flags(fd, 0);
  }
}

}  // namespace contrail::io::detail
