#include "crash/virtual_time.hpp"

// Windows' timers are of the system; there is no other clock for them.
namespace virtual_time {

bool works() noexcept { return false; }
void advance(std::chrono::microseconds) noexcept {}
std::chrono::microseconds now() noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace virtual_time
