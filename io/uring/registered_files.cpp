#include "uring/registered_files.hpp"

#include "common/file_state.hpp"
#include "posix/apart.hpp"
#include "posix/reading.hpp"

#include <liburing.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

/// What the thread apart opened; closed there, in its own table.
struct opened_apart {
  opened_apart() = default;
  opened_apart(const opened_apart&) = delete;
  opened_apart& operator=(const opened_apart&) = delete;
  ~opened_apart() {
    if (pair.cached >= 0) ::close(pair.cached);
    if (pair.direct >= 0) ::close(pair.direct);
  }
  reading_pair pair;
};

}  // namespace

bool registered_files::make_table() noexcept {
  const std::scoped_lock lock(guard_);
  if (table_ == state::untried) {
    owner_ = ::getpid();
    table_ = io_uring_register_files_sparse(&ring_, static_cast<unsigned>(taken_.size())) == 0 ? state::made : state::refused;
  }
  return table_ == state::made;
}

int registered_files::take_place() noexcept {
  const std::scoped_lock lock(guard_);
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i]) continue;
    taken_[i] = true;
    return static_cast<int>(i);
  }
  return -1;
}

void registered_files::give_back(int place) noexcept {
  if (place < 0) return;
  const std::scoped_lock lock(guard_);
  taken_[static_cast<std::size_t>(place)] = false;
}

bool registered_files::put(int place, int descriptor) noexcept {
  return io_uring_register_files_update(&ring_, static_cast<unsigned>(place), &descriptor, 1) == 1;
}

bool registered_files::open(int path_descriptor, caching wanted, file_state& file) noexcept {
  if (!make_table()) return false;
  const int cached = take_place();
  const int direct = wanted == caching::cached ? -1 : take_place();
  bool filled = false;
  if (cached >= 0 && (wanted == caching::cached || direct >= 0)) {
    const std::array<int, 2> keep{ring_.ring_fd, path_descriptor};
    try {
      run_apart(keep, [&]() noexcept {
        opened_apart mine;
        try {
          mine.pair.cached = reopen_for_reading(path_descriptor);
          if (wanted != caching::cached) mine.pair.direct = try_reopen_direct(path_descriptor);
          if (wanted != caching::cached && mine.pair.direct < 0) return;
          if (!put(cached, mine.pair.cached)) return;
          if (direct >= 0 && !put(direct, mine.pair.direct)) {
            put(cached, -1);
            return;
          }
          describe_reading(mine.pair, wanted, file);
          filled = true;
        } catch (...) {
          // The other way of opening says what is wrong.
        }
      });
    } catch (...) {
      filled = false;   // no memory for the thread's function; nothing ran
    }
  }
  if (!filled) {
    give_back(cached);
    give_back(direct);
    return false;
  }
  file.registered = true;
  reading_pair places;
  places.cached = cached;
  places.direct = direct;
  take_reading(places, file);
  file.native_facts = path_descriptor;
  return true;
}

void registered_files::close(file_state& file) noexcept {
  const bool ours = owner_ == ::getpid();
  for (std::intptr_t* place : {&file.native, &file.native_cached}) {
    if (*place < 0) continue;
    if (ours) {
      put(static_cast<int>(*place), -1);
      give_back(static_cast<int>(*place));
    }
    *place = -1;
  }
  if (file.native_facts >= 0) ::close(static_cast<int>(file.native_facts));
  file.native_facts = -1;
}

}  // namespace contrail::io::detail
