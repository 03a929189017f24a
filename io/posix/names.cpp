#include "posix/names.hpp"

#include "common/file_state.hpp"
#include "common/perform.hpp"
#include "posix/descriptor_lock.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

[[noreturn]] void fail_now() { throw std::system_error(errno, std::system_category()); }

void check(int result) {
  if (result != 0) fail_now();
}

entry_type type_of(mode_t mode) {
  if (S_ISREG(mode)) return entry_type::file;
  if (S_ISDIR(mode)) return entry_type::directory;
  if (S_ISLNK(mode)) return entry_type::link;
  return entry_type::other;
}

void stat_name(name_arguments& names) {
  struct stat facts {};
  check(::lstat(names.first.c_str(), &facts));
  entry& found = names.found;
  found.name = names.first.filename();
  found.type = type_of(facts.st_mode);
  found.facts = facts_of(facts);
}

void list_names(name_arguments& names) {
  for (const auto& item : std::filesystem::directory_iterator(names.first)) {
    entry e;
    e.name = item.path().filename();
    std::error_code ignored;   // vanished meanwhile: listed as `other`
    const auto type = item.symlink_status(ignored).type();
    if (type == std::filesystem::file_type::regular) e.type = entry_type::file;
    if (type == std::filesystem::file_type::directory) e.type = entry_type::directory;
    if (type == std::filesystem::file_type::symlink) e.type = entry_type::link;
    names.entries.push_back(std::move(e));
  }
  std::sort(names.entries.begin(), names.entries.end(), [](const entry& a, const entry& b) { return a.name < b.name; });
}

void rename_new(const name_arguments& names) {
  constexpr unsigned no_replace = 1;
  if (::syscall(SYS_renameat2, AT_FDCWD, names.first.c_str(), AT_FDCWD, names.second.c_str(), no_replace) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail_now();
  // A file system without the flag: two steps, and only names that nobody else makes are renamed this way.
  struct stat facts {};
  if (::lstat(names.second.c_str(), &facts) == 0) throw std::system_error(std::make_error_code(std::errc::file_exists));
  check(::rename(names.first.c_str(), names.second.c_str()));
}

void remove_name(const name_arguments& names) {
  struct stat facts {};
  check(::lstat(names.first.c_str(), &facts));
  check(S_ISDIR(facts.st_mode) ? ::rmdir(names.first.c_str()) : ::unlink(names.first.c_str()));
}

void sync_directory(const name_arguments& names) {
  const int fd = ::open(names.first.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_now();
  int result = ::fsync(fd);
  while (result != 0 && errno == EINTR) result = ::fsync(fd);
  const int why = errno;
  ::close(fd);
  // EINVAL: a file system that cannot sync directories makes them durable in its own way.
  if (result != 0 && why != EINVAL) throw std::system_error(why, std::system_category());
}

void set_attributes(const name_arguments& names) {
  struct stat facts {};
  check(::lstat(names.first.c_str(), &facts));
  // The owner first: changing it takes some permission bits away.
  if (names.value.set_owner) {
    check(::fchownat(AT_FDCWD, names.first.c_str(), names.value.uid, names.value.gid, AT_SYMLINK_NOFOLLOW));
  }
  if (!S_ISLNK(facts.st_mode)) check(::chmod(names.first.c_str(), static_cast<mode_t>(names.value.mode)));
}

void lock_name(name_arguments& names) {
  for (;;) {
    const int fd = ::open(names.first.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) fail_now();
    auto state = std::make_unique<descriptor_lock>(fd, names.first);
    int result = ::flock(fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR) result = ::flock(fd, LOCK_EX | LOCK_NB);
    check(result);
    // The last holder may have removed the file between our open and our lock.
    struct stat held {};
    struct stat named {};
    check(::fstat(fd, &held));
    if (::lstat(names.first.c_str(), &named) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino) {
      names.lock = held_lock(std::move(state));
      return;
    }
  }
}

}  // namespace

file_facts facts_of(const struct ::stat& from) noexcept {
  file_facts out;
  out.bytes = static_cast<std::uint64_t>(from.st_size);
  out.device = static_cast<std::uint64_t>(from.st_dev);
  out.inode = static_cast<std::uint64_t>(from.st_ino);
  out.mode = static_cast<std::uint32_t>(from.st_mode & 07777U);
  out.uid = from.st_uid;
  out.gid = from.st_gid;
  return out;
}

void perform_on_names(operation& op) {
  name_arguments& names = *op.names;
  switch (op.what) {
    case request::open: open_file(op); break;
    case request::rename: check(::rename(names.first.c_str(), names.second.c_str())); break;
    case request::rename_new: rename_new(names); break;
    case request::remove: remove_name(names); break;
    case request::remove_all: std::filesystem::remove_all(names.first); break;
    case request::make_directory: check(::mkdir(names.first.c_str(), 0700)); break;
    case request::sync_directory: sync_directory(names); break;
    case request::set_attributes: set_attributes(names); break;
    case request::list: list_names(names); break;
    case request::stat: stat_name(names); break;
    case request::lock: lock_name(names); break;
    default: throw std::system_error(std::make_error_code(std::errc::invalid_argument));
  }
}

}  // namespace contrail::io::detail
