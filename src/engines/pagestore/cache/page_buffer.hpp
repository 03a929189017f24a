#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <cstddef>
#include <memory>
#include <new>

namespace contrail::pagestore {

/// For transfers past the system's cache, which those of database files are not: a page that is aligned to its size takes the room of two, for
/// what the allocator puts in front of it.
constexpr std::align_val_t direct_alignment{4096};

/// The bytes of one page.
class page_buffer {
 public:
  explicit page_buffer(std::size_t size, std::align_val_t alignment = std::align_val_t{64})
      : data_(static_cast<std::byte*>(::operator new(size, alignment))), size_(size), alignment_(alignment) {}
  page_buffer(const page_buffer&) = delete;
  page_buffer& operator=(const page_buffer&) = delete;
  ~page_buffer() { ::operator delete(data_, alignment_); }

  byte_span all() noexcept { return {data_, size_}; }
  const_byte_span all() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_;
  std::size_t size_;
  std::align_val_t alignment_;
};

/// Committed content never changes: a commit installs another buffer, and who reads keeps the one that he has.
using page_content = std::shared_ptr<const page_buffer>;

}  // namespace contrail::pagestore
