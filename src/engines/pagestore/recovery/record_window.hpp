#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstddef>
#include <vector>

namespace contrail::pagestore {

/// Records that are redone together, so that the pages they need can be read ahead. So many bytes, or one record.
class record_window {
 public:
  static constexpr std::size_t usual_bytes = std::size_t{4} << 20U;
  explicit record_window(std::size_t most_bytes) noexcept : most_bytes_(most_bytes) {}

  struct entry {
    lgpos at;
    std::size_t begin = 0;
    std::size_t bytes = 0;
  };

  void add(lgpos at, const_byte_span record) {
    entry e;
    e.at = at;
    e.begin = bytes_.size();
    e.bytes = record.size();
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    entries_.push_back(e);
  }
  bool full() const noexcept { return bytes_.size() >= most_bytes_ || entries_.size() >= most_records; }
  const std::vector<entry>& entries() const noexcept { return entries_; }
  const_byte_span bytes(const entry& e) const noexcept { return const_byte_span(bytes_).subspan(e.begin, e.bytes); }
  void clear() noexcept {
    bytes_.clear();
    entries_.clear();
  }

 private:
  static constexpr std::size_t most_records = 16384;
  std::size_t most_bytes_;
  std::vector<std::byte> bytes_;
  std::vector<entry> entries_;
};

}  // namespace contrail::pagestore
