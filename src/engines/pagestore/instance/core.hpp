#pragma once

#include "engines/pagestore/cache/page_cache.hpp"
#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/instance/running_backup.hpp"
#include "engines/pagestore/instance/transaction_state.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/format/trailer.hpp"
#include "engines/pagestore/let_go_list.hpp"
#include "engines/pagestore/log/log_stream.hpp"

#include <contrail/engine.hpp>
#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include "async/event.hpp"
#include "async/kept_strand.hpp"
#include "async/mutex.hpp"
#include "async/on_strand.hpp"

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// The running engine. Everything but what is said to be for any thread is called on its strand.
namespace contrail::pagestore {

/// A database that is attached, or on the way there.
struct open_database {
  open_database() = default;
  std::uint8_t id = 0;
  io::held_lock lock;                   ///< keeps other instances away
  database_file file;
  std::string stored_path;              ///< as the log has it
  std::uint64_t dbtime = 0;             ///< of the last commit that touched it
  std::uint64_t horizon = 0;            ///< pages with this dbtime, or an older one, are logged as images at their next change
  std::uint32_t pages = 0;              ///< owned
  std::set<page_no> reserved;           ///< by open transactions
  page_no search_from = 2;              ///< below it, nothing is free; but for what was freed
  unsigned users = 0;                   ///< open transactions that have touched it
  bool attached = false;                ///< its attach or create record stands, and no detach record
  bool ready = false;                   ///< may be used
  detail::async_mutex growing;
};

class instance_core : public std::enable_shared_from_this<instance_core> {
 public:
  instance_core(const parameters& how, io::file_system fs, const detail::strand_type& strand);
  [[nodiscard]] static asio::awaitable<std::shared_ptr<instance_core>> open(asio::any_io_executor ex, parameters how, io::file_system fs);

  /// From any executor to the strand and back. What was begun is carried out; a caller that is cancelled waits for it.
  template <typename T>
  static asio::awaitable<T> call(std::shared_ptr<instance_core> self, asio::awaitable<T> work);
  /// Any thread.
  void post(std::function<void()> what);
  void abandon() noexcept;
  ~instance_core();
  void stop_service() noexcept { stopping_service_ = true; }
  bool service_stops() const noexcept { return stopping_service_; }
  const parameters& how() const noexcept { return how_; }
  const recovery_report& recovered() const noexcept { return report_; }

  // databases.cpp
  asio::awaitable<database> create(std::filesystem::path path);
  asio::awaitable<database> attach(std::filesystem::path path);
  asio::awaitable<void> detach(database which);
  asio::awaitable<std::uint32_t> pages(database which);

  // log.cpp, round.cpp
  asio::awaitable<lgpos> roll();
  asio::awaitable<void> checkpoint();
  asio::awaitable<void> make_durable(lgpos at);
  asio::awaitable<lgpos> log_tip();
  asio::awaitable<statistics> counters();

  // terminate.cpp
  asio::awaitable<void> terminate(term_mode how);
  bool ended() const noexcept { return ended_; }

  // access.cpp, commit.cpp: calls of transactions
  std::shared_ptr<transaction_state> begin();
  asio::awaitable<std::size_t> read(std::shared_ptr<transaction_state> t, database in, page_no n, std::size_t offset,
                                    asio::mutable_buffer into);
  asio::awaitable<void> write(std::shared_ptr<transaction_state> t, database in, page_no n, std::size_t offset, asio::const_buffer from);
  asio::awaitable<page_no> allocate(std::shared_ptr<transaction_state> t, database in, page_no hint);
  asio::awaitable<void> free(std::shared_ptr<transaction_state> t, database in, page_no n);
  asio::awaitable<commit_info> commit(std::shared_ptr<transaction_state> t, durability how);
  void rollback(transaction_state& t) noexcept;

  // backup.cpp: what a backup asks for (docs/pagestore.md, "Backup")
  errc backup_refusal() const noexcept { return backup_refusal_; }   ///< any thread; errc{}: none
  bool claim_backup() noexcept { return !claimed_.exchange(true); }    ///< any thread
  void unclaim_backup() noexcept { claimed_ = false; }
  asio::awaitable<std::shared_ptr<running_backup>> begin_backup(kind what, std::optional<backup_base> base, std::function<void(std::error_code)> on_lost);
  asio::awaitable<std::vector<database_info>> backup_databases();
  asio::awaitable<database_copy> begin_copy(std::shared_ptr<const running_backup> of, std::uint8_t id);
  asio::awaitable<void> require_content(std::uint8_t id, std::vector<page_no> those);
  asio::awaitable<database_trailer> end_copy(std::shared_ptr<const running_backup> of, std::uint8_t id, std::uint32_t pages);
  asio::awaitable<void> hold_pages(page_holds::range pages);
  void release_pages(page_holds::range pages) noexcept;   ///< any thread
  asio::awaitable<log_cut> close_backup_logs(std::shared_ptr<running_backup> of);
  asio::awaitable<log_copy> find_closed_log(std::uint32_t generation);
  asio::awaitable<void> delete_logs(log_range range);
  asio::awaitable<void> record_backup(std::shared_ptr<const running_backup> of, outcome result);
  asio::awaitable<void> end_backup(std::shared_ptr<running_backup> of, bool committed);
  void forget_backup(std::shared_ptr<running_backup> of) noexcept;   ///< any thread
  std::uint64_t log_bytes() const noexcept { return log_written_; }   ///< any thread: since the instance was opened

 private:
  friend struct call_guard;
  using page_key = std::pair<std::uint8_t, page_no>;

  // What must hold for any call: throws what the instance's state says.
  void require_running() const;
  open_database& find(database which, std::string_view operation);
  database_file* file_of(std::uint8_t id) noexcept;
  void lost(std::error_code why) noexcept;
  void failed(std::error_code why) noexcept;

  template <typename T>
  static asio::awaitable<T> holding(std::shared_ptr<instance_core> self, asio::awaitable<T> work);
  void let_go() noexcept;

  // open.cpp
  asio::awaitable<void> start();
  asio::awaitable<void> take_lock();
  void spawn_workers();
  asio::awaitable<void> write_start();
  static asio::awaitable<void> run_log(std::shared_ptr<instance_core> self);
  void worker_ended() noexcept;

  // terminate.cpp
  asio::awaitable<void> finish_cleanly();
  static asio::awaitable<void> end_quietly(std::shared_ptr<instance_core> self);

  // databases.cpp
  void refuse_beside_backup(const char* operation) const;
  void require_free_name(const std::string& stored) const;
  asio::awaitable<void> lock_database(std::shared_ptr<open_database> d, std::filesystem::path path);
  asio::awaitable<std::shared_ptr<open_database>> admit(std::filesystem::path path);
  asio::awaitable<database> publish(std::shared_ptr<open_database> d, record_type how);
  asio::awaitable<signature> make_file(std::filesystem::path path, std::filesystem::path before);
  asio::awaitable<void> make_clean(std::shared_ptr<open_database> d, lgpos tip);
  asio::awaitable<void> grow(open_database& d, std::uint32_t least);
  std::vector<attached_database> attached_list() const;
  void remember(const open_database& d, bool belongs);
  std::uint8_t free_id() const;

  // log.cpp
  asio::awaitable<lgpos> append_own(std::vector<std::byte> record, bool durable);
  asio::awaitable<void> wait_for_log(std::size_t bytes, log_stream::reserve keep);
  asio::awaitable<void> roll_over(std::uint32_t generation);
  asio::awaitable<void> begin_generation();
  asio::awaitable<lgpos> roll_to(std::function<std::vector<std::byte>()> first_record);
  std::uint64_t log_ahead() const noexcept;
  static asio::awaitable<void> keep_prepared(std::shared_ptr<instance_core> self);

  // round.cpp
  asio::awaitable<void> round();
  asio::awaitable<void> sync_database(std::shared_ptr<open_database> d);
  asio::awaitable<void> write_checkpoint(lgpos redo, std::vector<attached_database> list);
  asio::awaitable<void> delete_old_logs();
  std::uint32_t first_pinned() const noexcept;
  static asio::awaitable<void> run_rounds(std::shared_ptr<instance_core> self);

  // backup.cpp
  void require_loggable() const;
  void require_base(const running_backup& of) const;
  asio::awaitable<void> log_backup(backup_event event, bool durable);
  asio::awaitable<void> record_in(std::shared_ptr<open_database> d, backup_event event);
  void lose_backup() noexcept;

  // access.cpp
  asio::awaitable<page_view> view(open_database& d, page_no n, std::string_view operation);
  void touch(const std::shared_ptr<transaction_state>& t, open_database& d);
  asio::awaitable<private_page*> own(std::shared_ptr<transaction_state> t, open_database& d, page_no n, std::string_view operation);
  void require_room(const transaction_state& t);
  asio::awaitable<page_no> find_free(open_database& d, page_no hint);

  // commit.cpp
  lgpos append_commit(transaction_state& t, durability how);
  std::size_t largest_record(const transaction_state& t) const;
  asio::awaitable<void> append_growth(open_database& d, std::uint32_t pages);
  void release(transaction_state& t) noexcept;

  const parameters how_;
  io::file_system fs_;
  asio::any_io_executor strand_;         ///< empty when the instance or its context has ended
  std::shared_ptr<detail::kept_strand> kept_;
  std::vector<io::held_lock> locks_;     ///< in each of its directories
  recovery_report report_;
  std::vector<touched_database> recovered_databases_;
  lgpos recovered_end_;

  std::shared_ptr<log_stream> log_;
  std::unique_ptr<page_cache> cache_;
  io::random_access_file checkpoint_;
  std::uint64_t checkpoint_update_ = 0;
  bool checkpoint_second_first_ = false;   ///< the copy in force, as it was found, is written last

  std::map<std::uint8_t, std::shared_ptr<open_database>> databases_;
  std::map<page_key, transaction_state*> owners_;
  std::set<std::shared_ptr<transaction_state>> open_;   ///< that have touched a database
  std::uint64_t private_pages_ = 0;

  let_go_list let_go_;                   ///< no more than a checkpoint can list
  lgpos published_;                      ///< redo position of the checkpoint on the disk
  std::uint32_t lowest_generation_ = 0;
  detail::async_mutex rolling_, rounding_, attaching_;
  detail::async_mutex checkpointing_;    ///< the file is written, or read by a backup
  detail::async_mutex deleting_;         ///< logs
  std::shared_ptr<running_backup> backup_;
  std::atomic<bool> claimed_{false};     ///< by a backup; also before it begins and after it ends
  std::atomic<errc> backup_refusal_{errc::backup_not_allowed_yet};
  std::atomic<std::uint64_t> log_written_{0};
  detail::event round_done_, round_asked_, prepare_asked_, idle_;
  bool round_wanted_ = false;
  bool prepare_wanted_ = false;
  std::uint64_t rounds_done_ = 0;
  std::error_code round_failure_;
  std::optional<std::uint32_t> recycled_;
  asio::steady_timer* pause_ = nullptr;         ///< of the worker that waits for room on the log's disk
  asio::steady_timer* round_pause_ = nullptr;   ///< of the worker that waits for room on a data disk

  enum class state : std::uint8_t { starting, running, ending, ended };
  state state_ = state::starting;
  bool finishing_ = false;               ///< workers end
  std::atomic<bool> ended_{false};
  std::error_code dead_;                 ///< why the instance has failed
  mutable bool told_ = false;            ///< a call has said so
  bool log_disk_full_ = false;
  std::atomic<bool> stopping_service_{false};
  unsigned calls_ = 0;                   ///< in progress
  unsigned workers_ = 0;
  statistics sums_;
};

/// A call in progress: terminate waits for it.
struct call_guard {
  explicit call_guard(instance_core& c) : core(c) { ++core.calls_; }
  call_guard(const call_guard&) = delete;
  call_guard& operator=(const call_guard&) = delete;
  ~call_guard() {
    if (--core.calls_ == 0) core.idle_.notify();
  }
  instance_core& core;
};

// A context that ends destroys the caller and what runs for it in any order: the core must outlive both.
template <typename T>
asio::awaitable<T> instance_core::holding(std::shared_ptr<instance_core> self, asio::awaitable<T> work) {
  static_cast<void>(self);
  if constexpr (std::is_void_v<T>) {
    co_await std::move(work);
  } else {
    auto value = co_await std::move(work);
    co_return value;
  }
}

template <typename T>
asio::awaitable<T> instance_core::call(std::shared_ptr<instance_core> self, asio::awaitable<T> work) {
  if (!self) fail(errc::not_initialized, "use a pagestore instance");
  if (self->ended_) fail(errc::term_in_progress, "use a pagestore instance", {}, {}, "one that is open", "one that has ended");
  const auto strand = self->kept_->get();
  if (!strand) fail(errc::instance_unavailable, "use a pagestore instance", {}, {}, "its execution context", "that has ended");
  auto control = detail::make_control(*strand);
  control->cancellable = false;
  if constexpr (std::is_void_v<T>) {
    co_await detail::on_strand(std::move(control), holding(self, std::move(work)));
  } else {
    auto value = co_await detail::on_strand(std::move(control), holding(self, std::move(work)));
    co_return value;
  }
}

}  // namespace contrail::pagestore
