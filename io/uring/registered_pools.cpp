#include "uring/registered_pools.hpp"

#include <algorithm>
#include <cstdint>

#include <liburing.h>

namespace contrail::io::detail {

namespace {

constexpr unsigned table_size = 16;
constexpr std::size_t most_bytes = std::size_t{1} << 30;   // the kernel's limit for one buffer

bool update(io_uring& ring, unsigned index, void* memory, std::size_t bytes) noexcept {
  iovec piece{memory, bytes};
  const __u64 tag = 0;
  return io_uring_register_buffers_update_tag(&ring, index, &piece, &tag, 1) == 1;
}

}  // namespace

registered_pools::registered_pools(io_uring& ring) : ring_(&ring) {
  table_there_ = io_uring_register_buffers_sparse(&ring, table_size) == 0;
  slots_.resize(table_there_ ? table_size : 0);
}

int registered_pools::index_of(const std::shared_ptr<pool_state>& pool) noexcept {
  const std::scoped_lock lock(mutex_);
  if (ring_ == nullptr || !table_there_) return -1;
  slot* empty = nullptr;
  for (slot& s : slots_) {
    if (s.pool == pool.get()) return s.refused ? -1 : static_cast<int>(&s - slots_.data());
    if (s.pool == nullptr && empty == nullptr) empty = &s;
  }
  if (empty == nullptr) return -1;
  const auto index = static_cast<unsigned>(empty - slots_.data());
  try {
    pool->add_user(weak_from_this());
  } catch (...) {
    return -1;
  }
  // A refusal takes a slot too, so that each pool is asked for once.
  empty->pool = pool.get();
  empty->refused = pool->bytes() > most_bytes || !update(*ring_, index, pool->base(), pool->bytes());
  return empty->refused ? -1 : static_cast<int>(index);
}

void registered_pools::forget(const pool_state& pool) noexcept {
  const std::scoped_lock lock(mutex_);
  for (slot& s : slots_) {
    if (s.pool != &pool) continue;
    if (ring_ != nullptr && !s.refused) update(*ring_, static_cast<unsigned>(&s - slots_.data()), nullptr, 0);
    s = slot{};
  }
}

void registered_pools::ring_closes() noexcept {
  const std::scoped_lock lock(mutex_);
  ring_ = nullptr;
}

}  // namespace contrail::io::detail
