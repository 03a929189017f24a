#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <algorithm>
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

  void add(const range& r) { held_.push_back(r); }
  /// One of those that are equal.
  void remove(const range& r) noexcept {
    const auto at = std::find(held_.begin(), held_.end(), r);
    if (at != held_.end()) held_.erase(at);
  }
  bool has(std::uint8_t id, page_no n) const noexcept {
    return std::any_of(held_.begin(), held_.end(), [&](const range& r) { return r.has(id, n); });
  }
  bool empty() const noexcept { return held_.empty(); }

 private:
  std::vector<range> held_;
};

}  // namespace contrail::pagestore
