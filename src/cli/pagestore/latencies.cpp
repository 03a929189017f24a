#include "cli/pagestore/latencies.hpp"

#include <algorithm>
#include <cmath>

namespace contrail::cli {

latencies::duration latencies::quantile(double part) const noexcept {
  if (count_ == 0) {
    return duration(0);
  }
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) {
      return std::min(duration(static_cast<std::int64_t>(end_of(i))), max_);
    }
  }
  return max_;
}

}  // namespace contrail::cli
