#pragma once

#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/// Does another process see this one's lock on the first byte?
inline bool is_locked(const std::filesystem::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct ::flock asked {};
    asked.l_type = F_WRLCK;
    asked.l_whence = SEEK_SET;
    asked.l_len = 1;
    ::_exit(::fcntl(fd, F_GETLK, &asked) == 0 && asked.l_type != F_UNLCK ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/// A POSIX lock of this process.
struct own_lock {
  explicit own_lock(const std::filesystem::path& path) : fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) { take(); }
  ~own_lock() { ::close(fd); }
  own_lock(const own_lock&) = delete;
  own_lock& operator=(const own_lock&) = delete;
  void take() const {
    struct ::flock wanted {};
    wanted.l_type = F_WRLCK;
    wanted.l_whence = SEEK_SET;
    wanted.l_len = 1;
    if (::fcntl(fd, F_SETLK, &wanted) != 0) throw std::runtime_error("lock");
  }
  int fd;
};
