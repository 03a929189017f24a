#pragma once

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/engines/pagestore/transaction.hpp>
#include <contrail/engines/pagestore/types.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace contrail {
class engine;
}

/// An embedded store of pages with transactions, a log in numbered generations, a checkpoint, and recovery (docs/pagestore.md).
namespace contrail::pagestore {

class backup_engine;

/// How an instance ends (ESE specification, section 3.14).
enum class term_mode : std::uint8_t {
  complete,   ///< all pages written, databases clean: the next open recovers nothing. Fails with `errc::backup_in_progress` while one runs
  stop_backup,   ///< the same, and a backup that runs is ended: `errc::backup_abort_by_server`
  abrupt,     ///< what is committed is made durable, pages are left to recovery
  dirty,      ///< nothing more is written: as a crash
};

/// Sums since the instance was opened.
struct statistics {
  std::uint64_t commits = 0, lazy_commits = 0, rollbacks = 0, conflicts = 0;
  std::uint64_t batches = 0;          ///< log writes, each with one sync
  std::uint64_t log_bytes = 0;        ///< of records
  std::uint64_t images = 0, deltas = 0;
  std::uint64_t pages_read = 0, pages_written = 0;
  std::uint64_t rolls = 0, rounds = 0;
  /// Ranges that a backup has kept from the page writer, by how long: the k-th counts those below 2^k microseconds, the last one all others.
  std::array<std::uint64_t, 24> holds{};
  std::uint64_t longest_hold_us = 0;
  std::uint64_t invariants_broken = 0;   ///< always 0, or there is a bug; asserted in debug builds
};

/// What recovery did when the instance was opened.
struct recovery_report {
  recovery_report() = default;
  bool ran = false;                   ///< there was something to do
  std::uint32_t first = 0, last = 0;  ///< generations that were read
  std::uint64_t records = 0, changes = 0, pages_written = 0;
  std::vector<std::string> databases;
};

/// A running store. Several may run in a process, each in a directory of its own, which a held lock keeps others out of
/// (`errc::file_access_denied`).
///
/// All its work is done on a strand of the executor that it was opened with: it has no thread. Calls may come from any thread and executor
/// and end on the caller's. Move-only; a null instance's calls fail with `errc::not_initialized`. Destroyed without `terminate` it stops like
/// `term_mode::dirty`. The executor's context may end first.
/// Failure: when the log can not be written or synced, the instance stops: those that wait get `errc::log_write_fail`, later calls
/// `errc::instance_unavailable` (`errc::instance_unavailable_log_disk_full` when a full disk was the cause); terminate and open again.
class instance {
 public:
  instance() noexcept;
  instance(std::shared_ptr<instance_core> core, std::unique_ptr<pagestore::backup_engine> engine) noexcept;
  instance(instance&&) noexcept;
  instance& operator=(instance&&) noexcept;
  ~instance();

  /// Takes the lock, recovers what a crash has left, and begins. `files`: null for the context's own file system.
  [[nodiscard]] static asio::awaitable<instance> open(asio::any_io_executor ex, parameters how, const io::file_system* files = nullptr);

  /// A new database of pages that are all free; attached. `path`: below the instance's directory when it is relative. Fails with
  /// `std::errc::file_exists`, or `errc::invalid_parameter` when six are attached.
  [[nodiscard]] asio::awaitable<database> create(std::filesystem::path path);
  /// Fails with `errc::file_not_found`, `errc::database_corrupted`, `errc::soft_recovery_on_backup_database` (a copy that was never
  /// replayed), `errc::database_dirty_shutdown` (it belongs to another instance that did not end well).
  [[nodiscard]] asio::awaitable<database> attach(std::filesystem::path path);
  /// Writes all of it and lets go of it. Fails with `errc::database_in_use` while a transaction has touched it.
  [[nodiscard]] asio::awaitable<void> detach(database which);

  /// No I/O. Any thread.
  [[nodiscard]] transaction begin();

  /// Until the commit at this position, and all before it, are on stable storage: what a lazy commit leaves for later.
  [[nodiscard]] asio::awaitable<void> make_durable(lgpos at);
  /// Ends the current generation of the log; the first position of the new one.
  [[nodiscard]] asio::awaitable<lgpos> roll();
  /// One full round: everything that was committed before is in the databases, and recovery need not read it.
  [[nodiscard]] asio::awaitable<void> checkpoint();
  /// Ends the instance. Open transactions are rolled back; calls in progress end with `errc::term_in_progress`, or
  /// `errc::instance_unavailable` where they wait for pages. Twice is fine. Must be awaited before the process may rely on anything about the
  /// files. Everything is let go of also when it fails: with what could not be written, and, but for `term_mode::dirty`, with why the instance
  /// had failed when no call has said so before, for commits that were not durable may be lost then.
  [[nodiscard]] asio::awaitable<void> terminate(term_mode how = term_mode::complete);
  /// From now on every new transaction, attach and create fails with `errc::client_request_to_stop_service`; what runs may end. Any thread.
  void stop_service() noexcept;

  /// For `contrail::backup` and sessions: the same object as long as this instance, or what it is moved to, lives. While a backup runs, attach,
  /// detach and a complete terminate fail with `errc::backup_in_progress`; create is allowed.
  engine& backup_engine();

  /// Bytes of a page that are the user's.
  std::size_t payload_bytes() const noexcept;
  recovery_report recovered() const;
  [[nodiscard]] asio::awaitable<statistics> counters();
  /// Pages that the database owns; the newest position in the log.
  [[nodiscard]] asio::awaitable<std::uint32_t> pages(database which);
  [[nodiscard]] asio::awaitable<lgpos> log_tip();

 private:
  std::shared_ptr<instance_core> core_;
  std::unique_ptr<pagestore::backup_engine> engine_;
};

}  // namespace contrail::pagestore
