#pragma once

#include "async/event.hpp"
#include "async/on_strand.hpp"

#include <contrail/engine.hpp>

#include <asio/awaitable.hpp>

#include <list>
#include <memory>
#include <mutex>

namespace contrail::detail {

/// Clean-up of sessions that were destroyed while they ran. Owned by the engine and by every clean-up. Any thread.
class session_scope : public std::enable_shared_from_this<session_scope> {
 public:
  /// One clean-up, from its start to the end of its frame, however that comes.
  class entry {
   public:
    explicit entry(std::shared_ptr<session_scope> scope);
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    ~entry();

   private:
    std::shared_ptr<session_scope> scope_;
  };

  bool idle() const;
  /// Until no clean-up runs; on `strand`.
  static asio::awaitable<void> join(std::shared_ptr<session_scope> scope, strand_type strand);

 private:
  struct waiter {
    waiter(strand_type s, std::weak_ptr<event> e) : strand(std::move(s)), wake(std::move(e)) {}
    strand_type strand;
    std::weak_ptr<event> wake;
  };
  class waiting;

  mutable std::mutex mutex_;
  unsigned running_ = 0;
  std::list<waiter> waiters_;
};

/// The session's way into an engine.
struct engine_access {
  static std::shared_ptr<session_scope> scope(engine& e) { return e.scope_; }
};

}  // namespace contrail::detail
