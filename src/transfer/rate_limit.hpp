#pragma once

#include <chrono>
#include <cstdint>

namespace contrail::detail {

/// Spreads bytes over time. One for a whole session, so that the limit holds across files and phases. Pure: the clock is the caller's.
class rate_limiter {
 public:
  using clock = std::chrono::steady_clock;

  /// Bytes a second; 0: none.
  void set_rate(std::uint64_t bytes_per_second) noexcept { rate_ = bytes_per_second; }
  /// Reserves `bytes` and says how long to wait before they may be moved. Time that was lost by a slow source or sink may be caught up
  /// for `slack` only.
  clock::duration reserve(std::uint64_t bytes, clock::time_point now) noexcept;

  static constexpr std::chrono::milliseconds slack{100};

 private:
  std::uint64_t rate_ = 0;
  clock::time_point due_{};   ///< when the bytes reserved so far will have passed
};

}  // namespace contrail::detail
