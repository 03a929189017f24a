#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace contrail::pagestore {

/// Ranges of pages that nobody may begin to write: those which a backup reads at the moment. A handful.
class page_holds {
 public:
  struct range {
    std::uint8_t id = 0;       ///< of the database
    page_no first = 0;
    std::uint64_t count = 0;
    bool has(std::uint8_t database, page_no n) const noexcept { return id == database && n >= first && n - first < count; }
    friend constexpr bool operator==(const range&, const range&) = default;
  };

  void add(const range& r) {
    held one;
    one.pages = r;
    one.since = std::chrono::steady_clock::now();
    held_.push_back(one);
  }
  /// One of those that are equal.
  void remove(const range& r) noexcept {
    const auto at = std::find_if(held_.begin(), held_.end(), [&](const held& h) { return h.pages == r; });
    if (at == held_.end()) return;
    count(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - at->since));
    held_.erase(at);
  }
  bool has(std::uint8_t id, page_no n) const noexcept {
    return std::any_of(held_.begin(), held_.end(), [&](const held& h) { return h.pages.has(id, n); });
  }
  bool empty() const noexcept { return held_.empty(); }

  /// Those that are over: the k-th counts holds below 2^k microseconds, the last one all others.
  const std::array<std::uint64_t, 24>& counts() const noexcept { return counts_; }
  std::uint64_t longest_us() const noexcept { return longest_us_; }

 private:
  struct held {
    range pages;
    std::chrono::steady_clock::time_point since;
  };
  void count(std::chrono::microseconds time) noexcept {
    const auto us = static_cast<std::uint64_t>(std::max<std::chrono::microseconds::rep>(time.count(), 0));
    longest_us_ = std::max(longest_us_, us);
    ++counts_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us)), counts_.size() - 1)];
  }

  std::vector<held> held_;
  std::array<std::uint64_t, 24> counts_{};
  std::uint64_t longest_us_ = 0;
};

}  // namespace contrail::pagestore
