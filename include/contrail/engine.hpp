#pragma once

#include <contrail/page_source.hpp>
#include <contrail/source.hpp>
#include <contrail/types.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace contrail {

class manifest;
namespace detail {
class session_scope;
struct engine_access;
}

/// A backup that a database itself remembers (ESE specification, section 4.5).
struct recorded_backup {
  mark at;
  generation last = 0;
};

/// One attached database, as listed to the caller. A unit of choice and of failure.
struct database_info {
  database_info() = default;
  using recorded = recorded_backup;
  database_id id;
  std::string name;              ///< how the engine calls it, usually a full path
  std::string restore_name;      ///< relative name in a set and after a restore
  std::string signature;         ///< identity of the database, engine's own text
  std::uint64_t pages = 0;
  std::uint32_t page_bytes = 0;
  std::optional<recorded> last_full, last_incremental, last_copy, last_differential;
};

/// What an engine can do. Facts, fixed for the life of the engine.
struct engine_traits {
  engine_traits() = default;
  std::string name;              ///< "sqlite": key in the manifest, finds the restorer
  std::string version;           ///< of the engine's own library or format
  bool logs = false;             ///< has log files that a set contains
  bool roll = false;             ///< closing a generation starts a new file
  bool truncate = false;         ///< `pin::delete_logs` may be called
  bool incremental = false;      ///< incremental and differential by logs
  bool file_diff = false;        ///< incremental means changed files, not logs
  bool records = false;          ///< keeps "last backup" in its databases
  bool circular = false;         ///< circular logging is on
  hold_policy hold = hold_policy::never;   ///< the least that is safe
};

/// What the session asks of `engine::begin`.
struct begin_request {
  begin_request() = default;
  kind what = kind::full;
  std::shared_ptr<const manifest> parent;            ///< incremental, differential: the set with the engine's recorded mark
  bool retain = false;                               ///< keep what the next incremental needs, beyond end()
  std::function<void(std::error_code)> on_lost;      ///< engine -> session, any thread: the pin is void or the engine goes down
  read_policy reads;                                 ///< for page sources
  read_counters* counters = nullptr;                 ///< outlives the pin; may be null
};

/// Facts about the log at the moment when the current generation was closed.
struct log_cut {
  log_range copy;                ///< what makes the copy consistent
  generation first_present = 0;  ///< lowest generation on disk
  generation checkpoint = 0;     ///< recovery starts there; the truncation limit is computed by the session
  generation since = 0;          ///< incremental, differential: the one behind the parent's last; 0: the engine knows no parent
};

/// How a session ended, for the engine's own records (ESE specification, section 4.6).
struct outcome {
  outcome() = default;
  kind what = kind::full;
  log_range logs;
  bool truncated = false;
  std::vector<database_id> complete;
};

/// What a pin holds back at the moment, in bytes.
struct pin_cost {
  std::uint64_t log_bytes = 0;    ///< log that could not be reused since begin
  std::uint64_t space_bytes = 0;  ///< space in databases that could not be reused
};

/// A running backup inside an engine: everything that the copy needs stays readable while it lives. Awaited on the session's strand.
/// A pin keeps the engine's core alive. The destructor releases, without waiting, everything that would outlast the process or block
/// the engine; `end` is the orderly way.
class pin {
 public:
  virtual ~pin() = default;
  /// full, copy: taken by begin; incremental, differential: by close_generation (ESE specification, section 4.6).
  virtual mark at() const noexcept = 0;
  /// Never blocks.
  virtual pin_cost cost() const noexcept = 0;
  [[nodiscard]] virtual asio::awaitable<std::vector<database_info>> databases() = 0;
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<file_list>> files(database_id id) = 0;
  /// Closes the current log generation. The session calls it once.
  [[nodiscard]] virtual asio::awaitable<log_cut> close_generation() = 0;
  /// Logs of the range, and labels that the engine makes only now.
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<file_list>> logs(log_range range) = 0;
  /// Opens a listed file for reading. The source must not outlive the pin.
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<source>> open(const file_info& file) = 0;
  /// Ascending, stops without a gap. Only when `engine_traits::truncate`.
  [[nodiscard]] virtual asio::awaitable<void> delete_logs(log_range range) = 0;
  /// Writes the backup's record into the databases. Only when `engine_traits::records`.
  [[nodiscard]] virtual asio::awaitable<void> record(const outcome& result) = 0;
  /// Opaque bytes for the manifest, given back in `begin_request::parent` and to the restorer. Asked after the logs were copied.
  /// Also the last check before the commit: fails when the source is no longer the one that was pinned.
  [[nodiscard]] virtual asio::awaitable<std::string> state() = 0;
  /// Orderly release; also after a failure, in every state. Runs with cancellation disabled.
  [[nodiscard]] virtual asio::awaitable<void> end(bool committed) = 0;
};

/// A storage engine that can be backed up while it runs: primitives only, the rules live once in the session. An engine must not be
/// destroyed before its sessions ended; an adapter's `close()` joins the clean-up of sessions that were destroyed early.
class engine {
 public:
  engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;
  /// Asserts that no session's clean-up still runs (call the adapter's `close()`, or destroy the context first).
  virtual ~engine();

  /// The context on which sessions of this engine run.
  virtual asio::any_io_executor get_executor() const noexcept = 0;
  virtual const engine_traits& traits() const noexcept = 0;
  /// May a backup begin now, and if not, why. Any thread; never blocks.
  virtual std::error_code status() const noexcept = 0;
  /// The instance's one backup slot, the same for every handle and process (links resolved): fails with -505, or is held until the
  /// last owner of the result, or the process, is gone.
  [[nodiscard]] virtual asio::awaitable<std::shared_ptr<void>> claim() = 0;
  /// Establishes the pin. Cancellation: terminal; a cancelled begin leaves nothing.
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<pin>> begin(begin_request request) = 0;

 protected:
  /// For the adapter's close(): waits for the clean-up of sessions that were destroyed while they ran.
  [[nodiscard]] asio::awaitable<void> join_sessions();

 private:
  friend struct detail::engine_access;
  std::shared_ptr<detail::session_scope> scope_;
};

}  // namespace contrail
