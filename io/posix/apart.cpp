#include "posix/apart.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <system_error>
#include <thread>

#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace contrail::io::detail {

namespace {

bool close_range(unsigned first, unsigned last, unsigned flags) noexcept {
  return first > last || ::syscall(SYS_close_range, first, last, flags) == 0;
}

/// Leaves the process's table for a copy of the kept descriptors. False: still in the old one, or not sure; nothing was closed there.
bool take_own_table(std::span<const int> keep) noexcept {
  constexpr unsigned first_own = 3;
  std::array<unsigned, 4> kept{};
  if (keep.size() > kept.size()) return false;
  std::transform(keep.begin(), keep.end(), kept.begin(), [](int fd) { return static_cast<unsigned>(fd); });
  const auto end = kept.begin() + static_cast<std::ptrdiff_t>(keep.size());
  std::sort(kept.begin(), end);
  // The first call leaves the table; only then may the others close anything.
  const unsigned highest = keep.empty() ? first_own - 1 : *(end - 1);
  if (!close_range(std::max(highest + 1, first_own), ~0U, CLOSE_RANGE_UNSHARE)) return false;
  unsigned from = first_own;
  for (auto at = kept.begin(); at != end; ++at) {
    if (*at > from) close_range(from, *at - 1, 0);
    from = std::max(from, *at + 1);
  }
  return true;
}

/// All signals blocked: a handler of the application must not run apart, what it writes to would not be there.
class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    done_ = ::pthread_sigmask(SIG_SETMASK, &all, &before_) == 0;
  }
  ~signals_blocked() {
    if (done_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
  bool done() const noexcept { return done_; }

 private:
  sigset_t before_;
  bool done_;
};

}  // namespace

bool run_apart(std::span<const int> keep, const std::function<void()>& work) {
  bool ran = false;
  std::thread apart;
  try {
    const signals_blocked mask;   // the thread inherits it
    if (!mask.done()) return false;
    apart = std::thread([&] {
      if (!take_own_table(keep)) return;
      work();
      ran = true;
    });
  } catch (const std::system_error&) {
    return false;
  }
  apart.join();
  return ran;
}

}  // namespace contrail::io::detail
