#pragma once

#include "async/event.hpp"
#include "async/kept_strand.hpp"
#include "async/mutex.hpp"
#include "session/protocol.hpp"
#include "session/scope.hpp"
#include "session/truncation.hpp"
#include "transfer/rate_limit.hpp"

#include <contrail/backup_session.hpp>
#include <contrail/engine.hpp>

#include <asio/awaitable.hpp>
#include <asio/cancellation_signal.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::detail {

/// What a session is made of, shared by its handle, its calls in flight and its clean-up. Everything without a remark is touched on the
/// session's strand only.
class session_core : public std::enable_shared_from_this<session_core> {
 public:
  static std::shared_ptr<session_core> make(engine& from, const session_options& options, const strand_type& strand);
  session_core(engine& from, const session_options& options);
  session_core(const session_core&) = delete;
  session_core& operator=(const session_core&) = delete;
  ~session_core();

  // Any thread.
  /// Empty when the context is gone.
  std::optional<strand_type> strand() const { return strand_->get(); }
  void stop_with(errc code, std::string text);
  void lost(std::error_code why);
  bool closed() const noexcept { return closed_.load(); }
  /// The handle is gone: what still runs is cleaned up in the engine's scope.
  static void orphan(const std::shared_ptr<session_core>& core) noexcept;

  session_facts facts() const;
  void emit(int number, std::string_view text, std::error_code ec = {}) const noexcept;
  /// Ends the session when a limit of the pin is reached: the flag is set and what runs is cancelled. True: it was.
  bool limits_reached();
  void check_limits() {
    if (limits_reached()) throw_stopped("backup");
  }
  bool stopped() const noexcept { return stopped_.load(); }
  [[noreturn]] void throw_stopped(std::string_view operation) const;

  struct ending {
    bool commit = false;
    int event = 0;
    std::error_code why;
  };
  /// The one way out: cancels and awaits what is inside (but for `own` of them), records, releases pin and claim. Returns what went wrong
  /// while the backup was recorded. To be awaited with cancellation disabled: an await that is cancelled on entry does nothing.
  static asio::awaitable<std::error_code> shut_down(std::shared_ptr<session_core> core, unsigned own, ending how);
  /// The pin's age counts from here.
  void note_begin();
  void start_watch();

  /// A call inside the session.
  class call_guard {
   public:
    enum class sort : std::uint8_t { call, steady, outside };   ///< cancelled by a stop; awaited only; neither
    call_guard(std::shared_ptr<session_core> core, std::shared_ptr<call_control> control, sort s);
    call_guard(const call_guard&) = delete;
    call_guard& operator=(const call_guard&) = delete;
    ~call_guard();
    void enter();   ///< on the strand
    const std::shared_ptr<session_core> core;
    std::shared_ptr<void> keep;   ///< what the call refers to, where the caller shares it
    bool ends_session = false;    ///< its failure is what ends the session

   private:
    std::shared_ptr<call_control> control_;
    sort sort_;
    bool entered_ = false;
    friend class session_core;
  };

  // What the session is about.
  session_options options;
  const engine_traits traits;
  bool by_logs = false;                       ///< incremental or differential by logs
  std::shared_ptr<const manifest> parent;
  progress own_progress;
  progress& counters;
  rate_limiter pace;

  // Protocol.
  session_state state = session_state::none;
  bool closing = false;
  async_mutex door;                           ///< one at a time, but for reads and transfers
  bool busy = false;
  std::shared_ptr<void> claim;
  std::unique_ptr<contrail::pin> pin;

  enum class database_state : std::uint8_t { untouched, complete, failed };
  bool databases_known = false;
  std::vector<database_info> databases;
  std::vector<database_state> done;           ///< one for each of `databases`

  bool logs_prepared = false;
  bool logs_copied_whole = false;
  log_plan logs;
  generation_set logs_read;
  bool truncated = false;

  /// The one file that is read by handle.
  struct open_file {
    open_file() = default;
    std::uint32_t handle = 0;
    file_info info;
    std::unique_ptr<contrail::source> source;
    std::size_t database = no_database;       ///< index
    std::uint64_t position = 0;
    bool started = false;
    bool body_done = false;
    bool finished = false;
    static constexpr std::size_t no_database = static_cast<std::size_t>(-1);
  };
  std::unique_ptr<open_file> file;
  std::uint32_t next_handle = 0;
  std::unique_ptr<file_list> log_cursor;      ///< by name: goes on where the last open stopped
  std::vector<file_info> log_batch;

 private:
  void cancel_calls();
  void release() noexcept;
  void context_gone() noexcept;
  static asio::awaitable<void> watch(std::shared_ptr<session_core> core);
  std::chrono::nanoseconds age() const;

  std::shared_ptr<kept_strand> strand_;
  std::shared_ptr<session_scope> scope_;

  std::atomic<bool> closed_{false};
  std::atomic<bool> stopped_{false};
  mutable std::mutex reason_mutex_;
  errc reason_{};
  std::string reason_text_;

  std::list<call_guard*> calls_;
  unsigned inside_ = 0;      ///< calls that a clean-up waits for
  unsigned holders_ = 0;     ///< frames that may still refer to the pin
  bool dead_ = false;        ///< the context is gone
  event idle_;
  event all_closed_;

  bool watching_ = false;
  asio::cancellation_signal watch_signal_;
  std::chrono::system_clock::time_point began_wall_;
  std::chrono::steady_clock::time_point began_steady_;
};

using call_guard = session_core::call_guard;

}  // namespace contrail::detail
