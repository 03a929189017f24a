#include "posix/kept_descriptors.hpp"

#include <contrail/io/kept_descriptors.hpp>

#include "common/file_state.hpp"
#include "posix/reading.hpp"

#include <map>
#include <mutex>
#include <utility>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

struct kept {
  int cached = -1;
  int direct = -1;
  bool tried_direct = false;
  unsigned uses = 0;
};

using identity = std::pair<std::uint64_t, std::uint64_t>;

struct table {
  std::mutex guard;
  std::map<identity, kept> files;

  void forget_nameless() noexcept {
    for (auto at = files.begin(); at != files.end();) {
      struct stat facts {};
      if (at->second.uses == 0 && ::fstat(at->second.cached, &facts) == 0 && facts.st_nlink == 0) {
        ::close(at->second.cached);
        if (at->second.direct >= 0) ::close(at->second.direct);
        at = files.erase(at);
      } else {
        ++at;
      }
    }
  }
};

/// Never destroyed: the locks are the process's, to its end.
table& kept_files() {
  static auto* const all = new table;
  return *all;
}

}  // namespace

void open_kept(int path_descriptor, caching wanted, file_state& file) {
  table& all = kept_files();
  const std::scoped_lock lock(all.guard);
  all.forget_nameless();
  const identity which{file.facts.device, file.facts.inode};
  auto at = all.files.find(which);
  if (at == all.files.end()) {
    at = all.files.emplace(which, kept{}).first;
    try {
      at->second.cached = reopen_for_reading(path_descriptor);
    } catch (...) {
      all.files.erase(at);
      throw;
    }
  }
  kept& entry = at->second;
  if (wanted != caching::cached && !entry.tried_direct) {
    entry.direct = try_reopen_direct(path_descriptor);
    entry.tried_direct = true;
  }
  reading_pair pair;
  pair.cached = entry.cached;
  pair.direct = wanted == caching::cached ? -1 : entry.direct;
  describe_reading(pair, wanted, file);
  take_reading(pair, file);
  file.kept = true;
  ++entry.uses;
}

void release_kept(const file_state& file) noexcept {
  table& all = kept_files();
  const std::scoped_lock lock(all.guard);
  const auto at = all.files.find({file.facts.device, file.facts.inode});
  if (at != all.files.end()) --at->second.uses;
}

namespace {

/// How many descriptors of this process lead to the file; -1 when that cannot be told.
int count_descriptors(const identity& which) noexcept {
  DIR* const all = ::opendir("/proc/self/fd");
  if (all == nullptr) return -1;
  int count = 0;
  while (const dirent* const one = ::readdir(all)) {
    struct stat facts {};
    if (one->d_name[0] >= '0' && one->d_name[0] <= '9' && ::fstatat(::dirfd(all), one->d_name, &facts, 0) == 0 &&
        static_cast<std::uint64_t>(facts.st_dev) == which.first && static_cast<std::uint64_t>(facts.st_ino) == which.second) {
      ++count;
    }
  }
  ::closedir(all);
  return count;
}

}  // namespace

bool forget_kept(std::uint64_t device, std::uint64_t inode) noexcept {
  table& all = kept_files();
  const std::scoped_lock lock(all.guard);
  const identity which{device, inode};
  const auto at = all.files.find(which);
  if (at == all.files.end()) return true;
  const kept& entry = at->second;
  if (entry.uses != 0 || count_descriptors(which) != 1 + (entry.direct >= 0 ? 1 : 0)) return false;
  ::close(entry.cached);
  if (entry.direct >= 0) ::close(entry.direct);
  all.files.erase(at);
  return true;
}

}  // namespace contrail::io::detail

namespace contrail::io {

bool forget_kept_descriptors(std::uint64_t device, std::uint64_t inode) noexcept { return detail::forget_kept(device, inode); }

}  // namespace contrail::io
