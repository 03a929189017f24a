#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace contrail::cli {

/// How long things took, in memory of a fixed size: each power of two is divided into 64 equal buckets, so a quantile is at most 1/64 (1.6 %)
/// above the truth. The maximum is exact. Nanoseconds to 2^47 (39 hours).
class latencies {
 public:
  using duration = std::chrono::nanoseconds;

  void add(duration took) noexcept {
    const std::int64_t signed_ns = took.count();
    const std::uint64_t ns = signed_ns > 0 ? static_cast<std::uint64_t>(signed_ns) : 0;
    ++counts_[bucket_of(ns)];
    ++count_;
    if (took > max_) {
      max_ = took;
    }
  }
  std::uint64_t count() const noexcept { return count_; }
  duration max() const noexcept { return max_; }
  /// The smallest value that at least that part of all did not exceed, rounded up to its bucket's end; 0 when there is none.
  /// `part`: 0 to 1.
  duration quantile(double part) const noexcept;

 private:
  static constexpr unsigned steps_log2 = 6, steps = 1U << steps_log2, powers = 42;

  static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < steps) {
      return static_cast<std::size_t>(ns);
    }
    const auto power = static_cast<unsigned>(std::bit_width(ns)) - 1 - steps_log2;
    if (power >= powers - 1) {
      return powers * steps - 1;
    }
    return (power + 1) * steps + static_cast<std::size_t>((ns >> power) - steps);
  }
  /// The largest value that belongs there.
  static constexpr std::uint64_t end_of(std::size_t bucket) noexcept {
    if (bucket < steps) {
      return bucket;
    }
    const std::size_t power = bucket / steps - 1;
    return ((steps + bucket % steps + 1) << power) - 1;
  }

  std::array<std::uint64_t, powers * steps> counts_{};
  std::uint64_t count_ = 0;
  duration max_{0};
};

}  // namespace contrail::cli
