#include "common/bounce.hpp"

#include "common/file_state.hpp"
#include "common/pool_state.hpp"

#include <asio/error.hpp>

#include <algorithm>
#include <cstring>

namespace contrail::io::detail {

namespace {

constexpr std::size_t bounce_count = 4;
constexpr std::size_t bounce_bytes = std::size_t{64} << 10;
// The page cache works in pages: a direct and a cached write must never share one, or the cached one writes back stale neighbours.
constexpr std::uint64_t cache_page = 4096;

bool aligned_address(const void* data, std::uint64_t alignment) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) % alignment == 0;
}

/// Of a neutral file. True when the read goes through the page cache.
bool prefer_page_cache(operation& op) noexcept {
  const bool can_pass = op.file->facts.alignment > 1;
  residency* const cache = op.file->cache.get();
  if (cache == nullptr || op.bytes == 0) return !can_pass;
  if (!can_pass) {
    const residency::run run = cache->look_exactly(op.offset, op.bytes);
    op.io.bytes = run.bytes;
    op.io.drop_after = !run.resident;
    return true;
  }
  if (op.not_cached) return false;
  const residency::run run = cache->look(op.offset, op.bytes);
  if (!run.resident) return false;
  op.io.bytes = run.bytes;
  op.io.through_cache = true;
  op.io.nowait = op.file->knows_nowait;
  return true;
}

}  // namespace

lease bounce_buffers::take() noexcept {
  if (pool_ == nullptr) {
    try {
      pool_ = std::make_shared<pool_state>(bounce_count, bounce_bytes);
    } catch (...) {
      return {};
    }
  }
  return pool_->try_acquire();
}

bool bounce_buffers::prepare(operation& op) noexcept {
  op.io.offset = op.offset;
  op.io.data = op.data;
  op.io.bytes = op.bytes;
  op.io.through_cache = false;
  op.io.nowait = false;
  op.io.drop_after = false;
  op.io.fixed = static_cast<bool>(op.pinned);
  const file_facts& facts = op.file->facts;
  const std::uint64_t alignment = facts.alignment;
  if (facts.cache == caching::cached) return true;
  if (facts.cache == caching::neutral && op.what == request::read && prefer_page_cache(op)) return true;
  if (alignment <= 1) return true;

  if (op.what == request::read) {
    if (op.offset % alignment == 0 && op.bytes >= alignment && aligned_address(op.data, alignment)) {
      op.io.bytes = op.bytes - op.bytes % alignment;
      return true;
    }
    op.bounce = take();
    if (!op.bounce) return false;
    const std::uint64_t first = op.offset - op.offset % alignment;
    const std::uint64_t end = op.offset + op.bytes;
    const std::uint64_t rounded = (end + alignment - 1) / alignment * alignment;
    op.io.offset = first;
    op.io.data = op.bounce.buffer().data();
    op.io.bytes = static_cast<std::size_t>(std::min<std::uint64_t>(rounded - first, bounce_bytes));
    op.io.fixed = false;
    return true;
  }

  const std::uint64_t unit = std::max(alignment, cache_page);
  if (op.offset % unit != 0 || op.bytes < unit) {
    op.io.through_cache = true;
    op.io.bytes = static_cast<std::size_t>(std::min<std::uint64_t>(op.bytes, unit - op.offset % unit));
    return true;
  }
  op.io.bytes = op.bytes - static_cast<std::size_t>(op.bytes % unit);
  if (aligned_address(op.data, alignment)) return true;
  op.bounce = take();
  if (!op.bounce) return false;
  op.io.bytes = std::min(op.io.bytes, bounce_bytes);
  op.io.data = op.bounce.buffer().data();
  op.io.fixed = false;
  std::memcpy(op.io.data, op.data, op.io.bytes);
  return true;
}

void bounce_buffers::finish(operation& op) noexcept {
  if (!op.error && op.what == request::read) {
    if (op.bounce) {
      const std::uint64_t skip = op.offset - op.io.offset;
      const std::uint64_t got = op.count > skip ? std::min<std::uint64_t>(op.count - skip, op.bytes) : 0;
      std::memcpy(op.data, static_cast<const std::byte*>(op.io.data) + skip, static_cast<std::size_t>(got));
      op.count = got;
    }
    if (op.count == 0) op.error = asio::error::eof;
  }
  op.bounce.reset();
}

}  // namespace contrail::io::detail
