#include "posix.hpp"

#include <contrail/io/kept_descriptors.hpp>

#include <cerrno>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace contrail::sqlite {

namespace {

// The lock bytes of SQLite's unix file system: pending, reserved, and 510 shared ones.
constexpr off_t lock_first = 0x40000000;
constexpr off_t lock_count = 512;
constexpr off_t lock_before_shared = 2;

struct directory {
  explicit directory(const char* path) noexcept : handle(::opendir(path)) {}
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  ~directory() {
    if (handle != nullptr) {
      ::closedir(handle);
    }
  }
  DIR* handle;
};

struct ::flock lock_request(short type, off_t bytes) noexcept {
  struct ::flock out {};
  out.l_type = type;
  out.l_whence = SEEK_SET;
  out.l_start = lock_first;
  out.l_len = bytes;
  return out;
}

name_facts facts_of(const struct ::stat& from) noexcept {
  name_facts out;
  out.identity = {static_cast<std::uint64_t>(from.st_dev), static_cast<std::uint64_t>(from.st_ino)};
  out.bytes = static_cast<std::uint64_t>(from.st_size);
  out.links = static_cast<std::uint64_t>(from.st_nlink);
  out.regular = S_ISREG(from.st_mode);
  out.directory = S_ISDIR(from.st_mode);
  return out;
}

bool is_number(const char* text) noexcept { return *text >= '0' && *text <= '9'; }

/// Has a process (`/proc/<process>/fd`) one of `files` open? Nothing when it cannot be told.
std::optional<bool> has_open(const std::string& process, std::span<const file_identity> files, int except) {
  const directory open(("/proc/" + process + "/fd").c_str());
  if (open.handle == nullptr) {
    return {};
  }
  while (const ::dirent* const entry = ::readdir(open.handle)) {
    struct ::stat facts {};
    if (!is_number(entry->d_name) || (except >= 0 && std::atoi(entry->d_name) == except) ||
        ::fstatat(::dirfd(open.handle), entry->d_name, &facts, 0) != 0) {
      continue;
    }
    if (std::find(files.begin(), files.end(), facts_of(facts).identity) != files.end()) {
      return true;
    }
  }
  return false;
}

}  // namespace

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

descriptor::~descriptor() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

std::uint64_t descriptor::bytes() const noexcept {
  struct ::stat facts {};
  return fd_ >= 0 && ::fstat(fd_, &facts) == 0 ? facts_of(facts).bytes : 0;
}

std::optional<name_facts> look_at(const std::filesystem::path& path) noexcept {
  struct ::stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    return {};
  }
  return facts_of(facts);
}

descriptor open_for_reading(const std::filesystem::path& path) noexcept {
  return descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

std::string read_front(const descriptor& file, std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ::ssize_t got = ::pread(file.get(), out.data() + have, bytes - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      break;
    }
    have += static_cast<std::size_t>(got);
  }
  out.resize(have);
  return out;
}

bool others_hold_locks(const std::filesystem::path& database) noexcept {
  const descriptor file = open_for_reading(database);
  struct ::flock asked = lock_request(F_WRLCK, lock_count);
  return file && ::fcntl(file.get(), F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
}

bool lock_out_others(const descriptor& database, bool strong) noexcept {
  if (strong) {
    const struct ::flock all = lock_request(F_WRLCK, lock_count);
    return ::fcntl(database.get(), F_OFD_SETLK, &all) == 0;
  }
  struct ::flock asked = lock_request(F_WRLCK, lock_count);
  if (::fcntl(database.get(), F_OFD_GETLK, &asked) != 0 || asked.l_type != F_UNLCK) {
    return false;
  }
  const struct ::flock writers = lock_request(F_RDLCK, lock_before_shared);
  return ::fcntl(database.get(), F_OFD_SETLK, &writers) == 0;
}

void unlock(const descriptor& database) noexcept {
  const struct ::flock none = lock_request(F_UNLCK, lock_count);
  (void)::fcntl(database.get(), F_OFD_SETLK, &none);
}

std::optional<std::string> find_opener(std::span<const file_identity> files, int except) {
  const directory processes("/proc");
  if (processes.handle == nullptr) {
    return {};
  }
  const std::string self = std::to_string(::getpid());
  while (const ::dirent* const entry = ::readdir(processes.handle)) {
    if (!is_number(entry->d_name)) {
      continue;
    }
    const std::string process(entry->d_name);
    if (has_open(process, files, process == self ? except : -1).value_or(false)) {
      if (process == self) {
        return "this process itself";
      }
      std::string name = read_front(open_for_reading("/proc/" + process + "/comm"), 64);
      while (!name.empty() && name.back() == '\n') {
        name.pop_back();
      }
      return "process " + process + (name.empty() ? std::string() : " (" + name + ")");
    }
  }
  return {};
}

std::optional<bool> open_in_this_process(file_identity file) {
  // What lock-neutral reading kept of it, when that is all.
  io::forget_kept_descriptors(file.device, file.inode);
  return has_open("self", {&file, 1}, -1);
}

}  // namespace contrail::sqlite
