#pragma once

#include "engines/pagestore/cache/page_cache.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace contrail::pagestore {

/// Keeps pages in memory while it lives. The cache outlives it. One strand.
class page_pins {
 public:
  explicit page_pins(page_cache& cache) noexcept : cache_(cache) {}
  page_pins(const page_pins&) = delete;
  page_pins& operator=(const page_pins&) = delete;
  ~page_pins() {
    for (const auto& [id, n] : pages_) cache_.unpin(id, n);
  }

  [[nodiscard]] asio::awaitable<void> add(std::uint8_t id, page_no n) {
    pages_.reserve(pages_.size() + 1);
    co_await cache_.pin(id, n);
    pages_.emplace_back(id, n);
  }

 private:
  page_cache& cache_;
  std::vector<std::pair<std::uint8_t, page_no>> pages_;
};

}  // namespace contrail::pagestore
