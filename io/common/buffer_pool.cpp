#include <contrail/io/buffer_pool.hpp>

#include "common/aligned_memory.hpp"
#include "common/anchor.hpp"
#include "common/pool_state.hpp"

#include <asio/error.hpp>

#include <algorithm>
#include <cassert>
#include <stdexcept>

namespace contrail::io {

namespace detail {

pool_state::pool_state(std::size_t count, std::size_t bytes_each) : bytes_each_((bytes_each + 4095) / 4096 * 4096) {
  references_.resize(count);
  free_.reserve(count);
  // Low slots first: a pool that is never used to the full never touches the rest of its memory.
  for (std::size_t slot = count; slot > 0; --slot) free_.push_back(static_cast<std::uint32_t>(slot - 1));
  base_ = map_memory(bytes());
  alive_.fetch_add(1, std::memory_order_relaxed);   // last: one that throws has no destructor
}

pool_state::~pool_state() {
  if (auto registry = registry_.lock()) registry->remove(this);
  for (auto& weak : users_) {
    if (auto user = weak.lock()) user->forget(*this);
  }
  assert(std::all_of(references_.begin(), references_.end(), [](std::uint32_t r) { return r == 0; }));
  unmap_memory(base_, bytes());
  alive_.fetch_sub(1, std::memory_order_relaxed);
}

bool pool_state::contains(const void* data, std::size_t length) const noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(data);
  const auto base = reinterpret_cast<std::uintptr_t>(base_);
  return first >= base && first - base < bytes() && length <= bytes() - (first - base);
}

std::size_t pool_state::free_count() const noexcept {
  const std::scoped_lock lock(mutex_);
  return free_.size();
}

lease pool_state::try_acquire() noexcept {
  const std::scoped_lock lock(mutex_);
  if (closed_ || free_.empty()) return {};
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  references_[slot] = 1;
  return lease(shared_from_this(), slot);
}

void pool_state::acquire(acquire_waiter* waiter) noexcept {
  lease got;
  {
    const std::scoped_lock lock(mutex_);
    if (!closed_ && free_.empty()) {
      waiters_.push_back(waiter);
      return;
    }
    if (!closed_) {
      const std::uint32_t slot = free_.back();
      free_.pop_back();
      references_[slot] = 1;
      got = lease(shared_from_this(), slot);
    }
  }
  const bool deliver = static_cast<bool>(got);
  waiter->wake(waiter, {}, std::move(got), deliver);
}

void pool_state::cancel(acquire_waiter* waiter) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = std::find(waiters_.begin(), waiters_.end(), waiter);
    if (found == waiters_.end()) return;
    waiters_.erase(found);
  }
  waiter->wake(waiter, asio::error::operation_aborted, {}, true);
}

lease pool_state::share_at(const void* data) noexcept {
  const auto slot = static_cast<std::uint32_t>(
      (reinterpret_cast<std::uintptr_t>(data) - reinterpret_cast<std::uintptr_t>(base_)) / bytes_each_);
  const std::scoped_lock lock(mutex_);
  if (references_[slot] == 0) return {};
  ++references_[slot];
  return lease(shared_from_this(), slot);
}

void pool_state::add_reference(std::uint32_t slot) noexcept {
  const std::scoped_lock lock(mutex_);
  ++references_[slot];
}

void pool_state::release(std::uint32_t slot) noexcept {
  acquire_waiter* next = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (--references_[slot] != 0) return;
    if (waiters_.empty()) {
      free_.push_back(slot);
      return;
    }
    next = waiters_.front();
    waiters_.pop_front();
    references_[slot] = 1;
  }
  next->wake(next, {}, lease(shared_from_this(), slot), true);
}

void pool_state::shutdown() noexcept {
  std::deque<acquire_waiter*> dropped;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    dropped.swap(waiters_);
  }
  for (acquire_waiter* waiter : dropped) waiter->wake(waiter, {}, {}, false);
}

void pool_state::enlist(std::weak_ptr<pool_registry> registry) { registry_ = std::move(registry); }

void pool_state::add_user(std::weak_ptr<memory_user> user) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(users_, [](const auto& weak) { return weak.expired(); });
  users_.push_back(std::move(user));
}

void pool_registry::add(const std::shared_ptr<pool_state>& pool) {
  const std::scoped_lock lock(mutex_);
  pools_.push_back(pool.get());
}

void pool_registry::remove(const pool_state* pool) noexcept {
  const std::scoped_lock lock(mutex_);
  std::erase(pools_, pool);
}

lease pool_registry::find(const void* data, std::size_t length) noexcept {
  std::shared_ptr<pool_state> owner;   // released only after the lock: the last one may be ours
  const std::scoped_lock lock(mutex_);
  for (pool_state* pool : pools_) {
    if (!pool->contains(data, length)) continue;
    owner = pool->weak_from_this().lock();
    break;
  }
  if (owner == nullptr) return {};
  return owner->share_at(data);
}

void pool_registry::shutdown() noexcept {
  std::vector<std::shared_ptr<pool_state>> pools;
  {
    const std::scoped_lock lock(mutex_);
    for (pool_state* pool : pools_) {
      if (auto alive = pool->weak_from_this().lock()) pools.push_back(std::move(alive));
    }
  }
  for (auto& pool : pools) pool->shutdown();
}

void start_acquire(const std::shared_ptr<pool_state>& pool, acquire_waiter* waiter) noexcept { pool->acquire(waiter); }
void cancel_acquire(pool_state& pool, acquire_waiter* waiter) noexcept { pool.cancel(waiter); }

}  // namespace detail

lease::lease() noexcept = default;
lease::lease(std::shared_ptr<detail::pool_state> pool, std::uint32_t slot) noexcept : pool_(std::move(pool)), slot_(slot) {}
lease::lease(lease&& other) noexcept : pool_(std::move(other.pool_)), slot_(other.slot_) {}
lease& lease::operator=(lease&& other) noexcept {
  if (this != &other) {
    reset();
    pool_ = std::move(other.pool_);
    slot_ = other.slot_;
  }
  return *this;
}
lease::~lease() { reset(); }

asio::mutable_buffer lease::buffer() const noexcept {
  if (pool_ == nullptr) return {};
  return {pool_->base() + slot_ * pool_->bytes_each(), pool_->bytes_each()};
}

lease lease::share() const noexcept {
  if (pool_ == nullptr) return {};
  pool_->add_reference(slot_);
  return lease(pool_, slot_);
}

void lease::reset() noexcept {
  if (pool_ == nullptr) return;
  const auto pool = std::move(pool_);
  pool->release(slot_);
}

buffer_pool::buffer_pool(asio::any_io_executor ex, std::size_t count, std::size_t bytes_each) : ex_(std::move(ex)) {
  if (count == 0 || bytes_each == 0 || count > 0xffffffffU) throw std::invalid_argument("buffer_pool: count and size must not be 0");
  state_ = std::make_shared<detail::pool_state>(count, bytes_each);
  auto& anchor = detail::anchor::of(ex_);
  state_->enlist(anchor.pools());
  anchor.pools()->add(state_);
}
buffer_pool::~buffer_pool() = default;

lease buffer_pool::try_acquire() noexcept { return state_->try_acquire(); }
std::size_t buffer_pool::free_count() const noexcept { return state_->free_count(); }
std::size_t buffer_pool::count() const noexcept { return state_->count(); }
std::size_t buffer_pool::bytes_each() const noexcept { return state_->bytes_each(); }

}  // namespace contrail::io
