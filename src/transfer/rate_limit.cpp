#include "transfer/rate_limit.hpp"

#include <algorithm>

namespace contrail::detail {

rate_limiter::clock::duration rate_limiter::reserve(std::uint64_t bytes, clock::time_point now) noexcept {
  if (rate_ == 0) return clock::duration::zero();
  if (due_ == clock::time_point{}) due_ = now;
  due_ = std::max(due_, now - slack);
  const clock::duration wait = std::max(due_ - now, clock::duration::zero());
  // Seconds and rest apart: bytes * 10^9 would overflow from 18 GB on.
  const auto whole = std::chrono::seconds(static_cast<std::int64_t>(bytes / rate_));
  const double rest = static_cast<double>(bytes % rate_) / static_cast<double>(rate_);
  due_ += whole + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(rest));
  return wait;
}

}  // namespace contrail::detail
