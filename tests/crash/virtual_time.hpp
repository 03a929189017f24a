#pragma once

#include <chrono>

/// A clock of each thread's own instead of the real one, so that timers expire at the same place in every run of a schedule, and at once. The
/// programs here are linked so that all of them sees it (see CMakeLists.txt).
namespace virtual_time {

/// False on systems where timers cannot be had on another clock.
bool works() noexcept;
void advance(std::chrono::microseconds by) noexcept;
std::chrono::microseconds now() noexcept;

}  // namespace virtual_time
