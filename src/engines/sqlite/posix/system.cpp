#include "engines/sqlite/system.hpp"

#include "engines/sqlite/posix/locks.hpp"

#include <contrail/io/kept_descriptors.hpp>

#include <cerrno>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace contrail::sqlite {

namespace {

// The lock bytes of SQLite's unix file system: pending, reserved, and 510 shared ones.
constexpr off_t lock_first = 0x40000000;
constexpr off_t lock_count = 512;
constexpr off_t lock_before_shared = 2;

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

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
    if (*this) {
      ::close(as_fd(*this));
    }
    native_ = std::exchange(other.native_, -1);
  }
  return *this;
}

descriptor::~descriptor() {
  if (*this) {
    ::close(as_fd(*this));
  }
}

std::uint64_t descriptor::bytes() const noexcept {
  struct ::stat facts {};
  return *this && ::fstat(as_fd(*this), &facts) == 0 ? facts_of(facts).bytes : 0;
}

std::optional<name_facts> look_at(const std::filesystem::path& path, std::error_code& ec) noexcept {
  struct ::stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    ec = last_error();
    return {};
  }
  return facts_of(facts);
}

std::filesystem::path resolve(const std::filesystem::path& path, std::error_code& ec) {
  std::filesystem::path out = std::filesystem::canonical(path, ec);
  ec.assign(ec.value(), std::system_category());
  return out;
}

void refuse_other_log(const std::filesystem::path&) {}   // hard links are counted

std::string for_sqlite(const std::filesystem::path& path) { return path.native(); }

descriptor open_for_reading(const std::filesystem::path& path, std::error_code& ec) noexcept {
  descriptor out(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!out) {
    ec = last_error();
  }
  return out;
}

std::string read_front(const descriptor& file, std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const ::ssize_t got = ::pread(as_fd(file), out.data() + have, bytes - have, static_cast<off_t>(have));
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

bool may_write(const std::filesystem::path& path) noexcept { return ::access(path.c_str(), W_OK) == 0; }

bool is_kept_by_others(std::error_code) noexcept { return false; }

bool others_hold_locks(const std::filesystem::path& database) noexcept {
  std::error_code ignored;
  const descriptor file = open_for_reading(database, ignored);
  struct ::flock asked = lock_request(F_WRLCK, lock_count);
  return file && ::fcntl(as_fd(file), F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
}

bool lock_out_others(const descriptor& database, bool strong) noexcept {
  if (strong) {
    const struct ::flock all = lock_request(F_WRLCK, lock_count);
    return ::fcntl(as_fd(database), F_OFD_SETLK, &all) == 0;
  }
  struct ::flock asked = lock_request(F_WRLCK, lock_count);
  if (::fcntl(as_fd(database), F_OFD_GETLK, &asked) != 0 || asked.l_type != F_UNLCK) {
    return false;
  }
  const struct ::flock writers = lock_request(F_RDLCK, lock_before_shared);
  return ::fcntl(as_fd(database), F_OFD_SETLK, &writers) == 0;
}

void unlock(const descriptor& database) noexcept {
  const struct ::flock none = lock_request(F_UNLCK, lock_count);
  (void)::fcntl(as_fd(database), F_OFD_SETLK, &none);
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
      std::error_code ignored;
      std::string name = read_front(open_for_reading("/proc/" + process + "/comm", ignored), 64);
      while (!name.empty() && name.back() == '\n') {
        name.pop_back();
      }
      return "process " + process + (name.empty() ? std::string() : " (" + name + ")");
    }
  }
  return {};
}

std::optional<bool> closing_drops_locks(file_identity file) {
  // What lock-neutral reading kept of it, when that is all.
  io::forget_kept_descriptors(file.device, file.inode);
  return has_open("self", {&file, 1}, -1);
}

bool lock_bytes_block_reading() noexcept { return false; }

int has_moved(const sqlite_functions& sql, sqlite3* connection, const std::filesystem::path&, bool& moved) {
  int answer = 0;
  const int code = sql.file_control(connection, "main", SQLITE_FCNTL_HAS_MOVED, &answer);
  moved = answer != 0;
  return code;
}

}  // namespace contrail::sqlite
