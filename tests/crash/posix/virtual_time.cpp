#include "crash/virtual_time.hpp"

#include <sys/epoll.h>

#include <cerrno>

namespace {

thread_local std::chrono::microseconds passed{std::chrono::hours(1)};

}  // namespace

namespace virtual_time {

bool works() noexcept { return true; }
void advance(std::chrono::microseconds by) noexcept { passed += by; }
std::chrono::microseconds now() noexcept { return passed; }

}  // namespace virtual_time

// What the linker puts in place of std::chrono::steady_clock::now and of timerfd_create (its option --wrap). Without the system's timers Asio
// asks the clock at each turn.
std::chrono::steady_clock::time_point wrapped_now() noexcept __asm__("__wrap__ZNSt6chrono3_V212steady_clock3nowEv");
int wrapped_timer(int clock, int flags) noexcept __asm__("__wrap_timerfd_create");
// Nothing here has descriptors to wait for: a third of the system calls is spared that only look.
int wrapped_poll(int poll, epoll_event* events, int most, int timeout) __asm__("__wrap_epoll_wait");
int real_poll(int poll, epoll_event* events, int most, int timeout) __asm__("__real_epoll_wait");

std::chrono::steady_clock::time_point wrapped_now() noexcept { return std::chrono::steady_clock::time_point(passed); }

int wrapped_timer(int, int) noexcept {
  errno = ENOSYS;
  return -1;
}

int wrapped_poll(int poll, epoll_event* events, int most, int timeout) { return timeout == 0 ? 0 : real_poll(poll, events, most, timeout); }
