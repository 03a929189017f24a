#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace contrail::pagestore {

class instance_core;
struct transaction_state;

/// When a commit answers: once its record is on stable storage, or at once (it follows within `parameters::lazy_delay`, in order).
enum class durability : std::uint8_t { durable, lazy };

struct commit_info {
  lgpos at;   ///< of its record; zero when nothing was changed
};

/// Changes of pages, in any databases of one instance, that become visible and durable all together or not at all.
///
/// Reads see committed data and the transaction's own changes; each page is as it is when it is read (no snapshot). A page that it writes or
/// frees is its own until commit or rollback: others get `errc::write_conflict` at once, as does this one for a page that somebody committed
/// since it was read here. So nobody waits for a transaction.
/// Its changes live in memory until commit: `errc::version_store_out_of_memory` when they are too many for the cache, or for one log file; the
/// transaction stays open and should be rolled back.
///
/// Any thread, one call at a time (`errc::invalid_backup_sequence` else). Cancellation: a commit that has begun is carried out, its caller
/// may not hear of it; everything else stops without a trace. Move-only; destroyed open it is rolled back. May outlive its instance.
/// Errors of all calls: `errc::instance_unavailable` when the instance has failed, `errc::term_in_progress` when it is closed or the
/// transaction is over.
class transaction {
 public:
  transaction() noexcept;
  transaction(std::shared_ptr<instance_core> core, std::shared_ptr<transaction_state> state) noexcept;
  transaction(transaction&&) noexcept;
  transaction& operator=(transaction&&) noexcept;
  ~transaction();

  /// Bytes from `offset` of the page's payload on, as many as `into` has room for; how many there were (fewer at the payload's end). The memory
  /// must live until the call is over. A page that is not allocated: `errc::page_not_initialized`. A page whose bytes are not what was
  /// written: `errc::read_verify_failure` and its kin, with the file, the offset and the cause.
  [[nodiscard]] asio::awaitable<std::size_t> read(database in, page_no page, std::size_t offset, asio::mutable_buffer into);
  /// Puts bytes at `offset` of the payload; all must fit (`errc::invalid_parameter`).
  [[nodiscard]] asio::awaitable<void> write(database in, page_no page, std::size_t offset, asio::const_buffer from);
  /// A page of zeros, at or behind `hint` where there is one. A full disk: `errc::disk_full`, for this call alone.
  [[nodiscard]] asio::awaitable<page_no> allocate(database in, page_no hint = 1);
  [[nodiscard]] asio::awaitable<void> free(database in, page_no page);
  /// The end of the transaction, unless it fails with -1069, -529 (no room for logs) or -1808 (the disk of a database has been full for
  /// long): then it stays open. A durable commit that only read waits until what it has read is durable.
  [[nodiscard]] asio::awaitable<commit_info> commit(durability how = durability::durable);
  /// Any thread, not beside another call. Nothing happens to a transaction that is over.
  void rollback() noexcept;

 private:
  std::shared_ptr<instance_core> core_;
  std::shared_ptr<transaction_state> state_;
};

}  // namespace contrail::pagestore
