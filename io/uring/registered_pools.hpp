#pragma once

#include "common/pool_state.hpp"

#include <memory>
#include <mutex>
#include <vector>

struct io_uring;

namespace contrail::io::detail {

/// Which pools' memory is registered with a ring, one table slot a pool. Registered on first use, on the strand; let go when the pool
/// dies, from any thread.
class registered_pools final : public pool_state::memory_user, public std::enable_shared_from_this<registered_pools> {
 public:
  explicit registered_pools(io_uring& ring);

  /// The pool's slot; -1 when it is not registered: no room in the table, or the memory-lock limit.
  int index_of(const std::shared_ptr<pool_state>& pool) noexcept;
  void forget(const pool_state& pool) noexcept override;
  void ring_closes() noexcept;

 private:
  struct slot {
    const pool_state* pool = nullptr;
    bool refused = false;   // asked once, and the system said no
  };
  std::mutex mutex_;
  io_uring* ring_;
  bool table_there_ = false;
  std::vector<slot> slots_;
};

}  // namespace contrail::io::detail
