#pragma once

#include <contrail/io/detail/initiate_acquire.hpp>
#include <contrail/io/lease.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace contrail::io::detail {

class pool_registry;

/// The memory of a pool and who has which buffer. Any thread; the mutex is held for a few instructions.
class pool_state : public std::enable_shared_from_this<pool_state> {
 public:
  /// Told from any thread when the memory goes away: a ring that registered it must let go first.
  struct memory_user {
    virtual ~memory_user() = default;
    virtual void forget(const pool_state& pool) noexcept = 0;
  };

  pool_state(std::size_t count, std::size_t bytes_each);
  ~pool_state();
  pool_state(const pool_state&) = delete;
  pool_state& operator=(const pool_state&) = delete;

  std::size_t count() const noexcept { return references_.size(); }
  std::size_t bytes_each() const noexcept { return bytes_each_; }
  std::byte* base() const noexcept { return base_; }
  std::size_t bytes() const noexcept { return references_.size() * bytes_each_; }
  bool contains(const void* data, std::size_t length) const noexcept;
  std::size_t free_count() const noexcept;

  lease try_acquire() noexcept;
  void acquire(acquire_waiter* waiter) noexcept;
  void cancel(acquire_waiter* waiter) noexcept;
  /// A further owner of the buffer that holds `data`; empty when nobody owns it.
  lease share_at(const void* data) noexcept;
  void add_reference(std::uint32_t slot) noexcept;
  void release(std::uint32_t slot) noexcept;
  /// The context goes away: waiters are dropped unheard, later ones at once.
  void shutdown() noexcept;

  void enlist(std::weak_ptr<pool_registry> registry);
  void add_user(std::weak_ptr<memory_user> user);
  /// Of the whole process. A lease that is never given back keeps its pool alive: when all contexts and pools of a test are gone, so
  /// must be these.
  static std::size_t alive() noexcept { return alive_.load(std::memory_order_relaxed); }

 private:
  static inline std::atomic<std::size_t> alive_{0};
  mutable std::mutex mutex_;
  std::byte* base_ = nullptr;
  std::size_t bytes_each_;
  std::vector<std::uint32_t> references_;   // by slot: leases and operations in the kernel
  std::vector<std::uint32_t> free_;
  std::deque<acquire_waiter*> waiters_;
  bool closed_ = false;
  std::weak_ptr<pool_registry> registry_;
  std::vector<std::weak_ptr<memory_user>> users_;
};

/// The pools of one execution context, to find the owner of an address.
class pool_registry {
 public:
  void add(const std::shared_ptr<pool_state>& pool);
  void remove(const pool_state* pool) noexcept;
  lease find(const void* data, std::size_t length) noexcept;
  void shutdown() noexcept;

 private:
  std::mutex mutex_;
  std::vector<pool_state*> pools_;   // each removes itself before it dies
};

}  // namespace contrail::io::detail
