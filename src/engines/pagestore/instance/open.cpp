#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/recovery/soft_recovery.hpp"

#include <contrail/error.hpp>
#include "async/file_calls.hpp"

#include <asio/co_spawn.hpp>
#include <asio/strand.hpp>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

// From a directory to a running instance.
namespace contrail::pagestore {

namespace {

// `disk_full` is that of the data.
bool is_full_log(const std::error_code& why) noexcept { return why == errc::log_disk_full || (calls::is_full(why) && why != errc::disk_full); }

}  // namespace

instance_core::instance_core(const parameters& how, io::file_system fs, const detail::strand_type& strand)
    : how_(how), fs_(std::move(fs)), strand_(strand), kept_(detail::kept_strand::make(strand)) {}

asio::awaitable<std::shared_ptr<instance_core>> instance_core::open(asio::any_io_executor ex, parameters how, io::file_system fs) {
  const detail::strand_type strand = asio::make_strand(ex);
  auto core = std::make_shared<instance_core>(checked(std::move(how)), std::move(fs), strand);
  core->kept_->on_gone([weak = std::weak_ptr<instance_core>(core)] {
    if (const auto gone = weak.lock()) gone->let_go();
  });
  auto control = detail::make_control(strand);
  control->cancellable = false;   // recovery that has begun is carried out
  co_await detail::on_strand(std::move(control), holding(core, core->start()));
  co_return core;
}

instance_core::~instance_core() { kept_->close(); }

// What belongs to the context must not be touched any more when that has ended; the core may be kept for longer.
void instance_core::let_go() noexcept {
  strand_ = asio::any_io_executor();
  log_.reset();
}

void instance_core::post(std::function<void()> what) { kept_->post(std::move(what)); }

void instance_core::require_running() const {
  if (dead_) {
    told_ = true;
    fail(is_full_log(dead_) ? errc::instance_unavailable_log_disk_full : errc::instance_unavailable, "use the instance", how_.directory.string(), {}, {},
         "it has failed: " + dead_.message() + "; end it and open it again");
  }
  if (state_ == state::starting) fail(errc::not_initialized, "use the instance", how_.directory.string());
  if (state_ != state::running) fail(errc::term_in_progress, "use the instance", how_.directory.string());
}

// Something that the end of the instance itself has cut short is no failure of it.
void instance_core::failed(std::error_code why) noexcept {
  const bool own = why == errc::instance_unavailable || why == errc::term_in_progress;
  if (state_ != state::running && own) return;
  lost(calls::is_full(why) ? make_error_code(errc::disk_full) : why);
}

// The end of this life: what is in memory is ahead of the disk, or may be. The next open recovers.
void instance_core::lost(std::error_code why) noexcept {
  if (dead_) return;
  dead_ = why;
  backup_refusal_ = is_full_log(why) ? errc::instance_unavailable_log_disk_full : errc::instance_unavailable;
  lose_backup();
  if (cache_) cache_->stop();
  if (log_) log_->stop(false, why);
  round_done_.notify();
  round_asked_.notify();
  prepare_asked_.notify();
  if (pause_ != nullptr) pause_->cancel();
  if (round_pause_ != nullptr) round_pause_->cancel();
}

asio::awaitable<void> instance_core::take_lock() {
  for (const std::filesystem::path& directory : {how_.directory, how_.log_directory, how_.checkpoint_directory}) {
    const std::error_code made = co_await calls::make_directory(fs_, directory);
    if (made && !calls::is_taken(made)) calls::check(made, "make directory", directory);
    if (made) continue;
    const std::error_code named = co_await calls::sync_directory(fs_, calls::directory_of(directory));
    calls::check(named, "sync directory", calls::directory_of(directory));
  }
  // One in each directory: another instance may have been given the same one for its logs, or for its checkpoint.
  std::vector<io::entry> held;
  for (const std::filesystem::path& directory : {how_.directory, how_.log_directory, how_.checkpoint_directory}) {
    const std::filesystem::path path = directory / lock_name(how_.base_name);
    if (!held.empty()) {
      const calls::found there = co_await calls::stat(fs_, path);
      const bool ours = !there.ec && std::any_of(held.begin(), held.end(), [&](const io::entry& e) {
        return e.facts.device == there.entry.facts.device && e.facts.inode == there.entry.facts.inode;
      });
      if (ours) continue;   // the same directory, perhaps by another name
    }
    calls::locked taken = co_await calls::lock(fs_, path);
    if (calls::is_held(taken.ec)) {
      fail(errc::file_access_denied, "open instance", path.string(), {}, "an instance that nobody has open", "another one holds its lock");
    }
    calls::check(taken.ec, "open instance", path);
    locks_.push_back(std::move(taken.lock));
    const calls::found made = co_await calls::stat(fs_, path);
    calls::check(made.ec, "open instance", path);
    held.push_back(made.entry);
  }
}

void instance_core::worker_ended() noexcept {
  --workers_;
  idle_.notify();
}

void instance_core::spawn_workers() {
  const std::shared_ptr<instance_core> self = shared_from_this();
  // They end when the instance does, which waits for them; nothing of them leaves an exception.
  const auto done = [](std::exception_ptr) {};
  workers_ = 3;
  asio::co_spawn(strand_, run_log(self), done);
  asio::co_spawn(strand_, run_rounds(self), done);
  asio::co_spawn(strand_, keep_prepared(self), done);
}

asio::awaitable<void> instance_core::run_log(std::shared_ptr<instance_core> self) {
  const std::shared_ptr<log_stream> log = self->log_;
  co_await log_stream::run(log);
  self->worker_ended();
}

asio::awaitable<void> instance_core::write_start() {
  std::vector<std::byte> bytes;
  record_builder record(bytes);
  if (report_.ran) {
    recovered_record content;
    content.end = recovered_end_;
    content.databases = recovered_databases_;
    record.begin_recovered(now_ns(), content);
    record.finish();
  }
  record.begin_plain(record_type::start, now_ns(), "contrail pagestore 1, page size " + std::to_string(how_.page_size));
  record.finish();
  // One after the other: each is sealed where it comes to stand.
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t length = padded(load<std::uint32_t>(bytes, at + 8));
    std::vector<std::byte> one(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
    const bool last = at + length == bytes.size();
    const lgpos where = co_await append_own(std::move(one), last);
    static_cast<void>(where);
    at += length;
  }
}

asio::awaitable<void> instance_core::start() {
  co_await take_lock();
  std::exception_ptr failure;
  try {
    recovery_outcome found = co_await soft_recovery(fs_, how_);
    if (found.tail && found.tail->header.file_bytes != how_.log_file_size) {
      fail(errc::invalid_parameter, "open instance", how_.log_directory.string(), {},
           "log_file_size of " + std::to_string(found.tail->header.file_bytes) + ", as these logs have", std::to_string(how_.log_file_size));
    }
    if (found.checkpoint.in_force) {
      checkpoint_update_ = found.checkpoint.in_force->update;
      checkpoint_second_first_ = !found.checkpoint.second_in_force;
    }
    report_.ran = found.ran;
    report_.first = found.start.generation();
    report_.last = found.tail ? found.tail->header.generation : 0;
    report_.records = found.records;
    report_.changes = found.changes;
    report_.pages_written = found.pages_written;
    if (found.checkpoint.in_force) {
      const std::vector<attached_database>& listed = found.checkpoint.in_force->attached;
      for (auto d = listed.rbegin(); d != listed.rend(); ++d) {
        attached_database known = *d;
        if (known.flags == 0) known.cleaned = lgpos();
        if (known.flags == 0) known.flags = attached_no_more;
        let_go_.put(std::move(known));
      }
    }
    // What a checkpoint says of one whose attachment began or ended behind it is of the past.
    for (auto d = found.let_go.rbegin(); d != found.let_go.rend(); ++d) let_go_.put(*d);
    for (const attached_database& d : found.recovered) {
      let_go_.put(d);
      report_.databases.push_back(d.path);
      recovered_databases_.push_back(touched_database{static_cast<std::uint8_t>(d.id), d.dbtime});
    }
    let_go_.keep(most_databases);
    if (found.tail) recovered_end_ = found.tail->position();
    for (const std::uint32_t generation : found.garbage) {
      // Deletions that a crash has undone, which the checkpoint tells. Of logs that are not deleted by themselves they may be all that is left.
      if (!how_.circular_logging || !found.checkpoint.in_force) break;
      const std::error_code ignored = co_await calls::remove(fs_, numbered_log_path(how_, generation));
      static_cast<void>(ignored);
    }
    const std::weak_ptr<instance_core> self = weak_from_this();
    const std::function<void(std::error_code)> on_failure = [self](std::error_code why) {
      if (const auto core = self.lock()) core->lost(why);
    };
    log_ = std::make_shared<log_stream>(fs_, how_, strand_, on_failure);
    page_cache::limits bounds;
    bounds.page_size = how_.page_size;
    bounds.pages = how_.cache_size;
    bounds.writes_in_flight = how_.writes_in_flight;
    const page_cache::file_finder files = [this](std::uint8_t id) { return file_of(id); };
    cache_ = std::make_unique<page_cache>(bounds, *log_, files, on_failure);
    if (found.tail) {
      co_await log_->resume(*found.tail);
    } else {
      std::random_device random;
      signature log;
      log.random = (std::uint64_t{random()} << 32U) | random();
      log.created = now_ns();
      const std::vector<attached_database> none;
      co_await log_->begin(log, none);
    }
    lowest_generation_ = found.tail ? found.lowest_generation : log_->generation();
    state_ = state::running;
    spawn_workers();
    co_await write_start();
    // Nothing is attached: the next recovery begins here.
    const lgpos tip = log_->tip();
    const std::vector<attached_database> none;
    co_await write_checkpoint(tip, none);
    // The logs on the disk end here, with nothing attached, and are left as they are.
    if (!how_.logging) log_->stop_writing();
    prepare_wanted_ = how_.logging;
    prepare_asked_.notify();
    backup_refusal_ = how_.logging ? errc{} : errc::logging_disabled;
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await terminate(term_mode::dirty);
    std::rethrow_exception(failure);
  }
}

}  // namespace contrail::pagestore
