#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <cstddef>
#include <memory>
#include <new>

namespace contrail::pagestore {

/// The bytes of one page, aligned for direct transfers.
class page_buffer {
 public:
  explicit page_buffer(std::size_t size) : data_(static_cast<std::byte*>(::operator new(size, std::align_val_t{alignment}))), size_(size) {}
  page_buffer(const page_buffer&) = delete;
  page_buffer& operator=(const page_buffer&) = delete;
  ~page_buffer() { ::operator delete(data_, std::align_val_t{alignment}); }

  byte_span all() noexcept { return {data_, size_}; }
  const_byte_span all() const noexcept { return {data_, size_}; }

 private:
  static constexpr std::size_t alignment = 4096;
  std::byte* data_;
  std::size_t size_;
};

/// Committed content never changes: a commit installs another buffer, and who reads keeps the one that he has.
using page_content = std::shared_ptr<const page_buffer>;

}  // namespace contrail::pagestore
