#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/cache/page_pins.hpp"
#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/page.hpp"
#include "engines/pagestore/log/database_path.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/backup_records.hpp"
#include "engines/pagestore/recovery/checkpoint_file.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <cstdio>

// What a backup asks of the running instance. The rules are the session's; here is what the engine alone can do.
namespace contrail::pagestore {

namespace {

constexpr std::uint32_t last_generations = 16;   ///< in which no backup begins: each closes one

// ESE specification, section 4.4.
constexpr std::uint8_t phase_begin = 1, phase_logs = 2, phase_truncate = 3, phase_abort = 5, phase_stop = 6;

std::uint8_t scope_of(kind what) noexcept {
  switch (what) {
    case kind::full: return 1;
    case kind::incremental: return 2;
    case kind::copy: return 5;
    case kind::differential: break;
  }
  return 6;
}

std::optional<recorded_backup> told(const database_header& header, backup_slot slot) {
  const backup_record& record = header.backups[slot];
  if (record.low == 0) return std::nullopt;
  recorded_backup out;
  out.at.position = record.mark;
  out.at.unix_nanoseconds = static_cast<std::int64_t>(record.time);
  out.last = record.high;
  return out;
}

std::string words(lgpos at) { return "generation " + std::to_string(at.generation()) + ", byte " + std::to_string(at.offset()); }

std::string text_of(signature s) {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx-%016llx", static_cast<unsigned long long>(s.random), static_cast<unsigned long long>(s.created));
  return text;
}

backup_event event_of(const running_backup& of, std::uint8_t phase) {
  backup_event event;
  event.phase = phase;
  event.scope = scope_of(of.what);
  event.mark = of.at.position;
  event.time = static_cast<std::uint64_t>(of.at.unix_nanoseconds);
  event.low = of.low;
  event.high = of.end == 0 ? 0 : of.end - 1;
  return event;
}

}  // namespace

// --- the log on its behalf

void instance_core::require_loggable() const {
  if (log_->generation() > last_generation - last_generations) {
    fail(errc::log_sequence_end, "begin backup", how_.log_directory.string(), {},
         "a generation up to " + std::to_string(last_generation - last_generations), std::to_string(log_->generation()));
  }
  if (log_disk_full_) fail(errc::log_disk_full, "begin backup", how_.log_directory.string(), {}, "room for the next log");
}

// Whether the set that was given is the one that every database remembers as its last: then all that has happened to them since is in the logs
// behind it.
void instance_core::require_base(const running_backup& of) const {
  const auto refuse = [](const std::string& file, const std::string& expected, const std::string& found) {
    fail(errc::missing_full_backup, "begin backup", file, {}, expected, found);
  };
  const std::string here = how_.directory.string();
  if (!of.base) refuse(here, "the set to build on", "none");
  const backup_base& base = *of.base;
  const std::string given = "set " + base.set;
  const bool differential = of.what == kind::differential;
  if (base.what != kind::full && (differential || base.what != kind::incremental)) {
    refuse(here, differential ? "a full set to build on" : "a full or incremental set to build on", given + ", of kind " + std::string(to_string(base.what)));
  }
  if (base.log != log_->header().log || base.base_name != how_.base_name || base.page_size != how_.page_size) {
    refuse(here, "a set of these logs", given + ", which has others; take a full backup");
  }
  if (databases_.empty()) refuse(here, "a database that remembers a backup", "none is attached");
  for (const auto& [id, d] : databases_) {
    const auto& known = d->file.header().backups;
    const bool of_logs = !differential && known[incremental_previous].low != 0 && known[incremental_previous].mark > known[full_previous].mark;
    const backup_record& last = known[of_logs ? incremental_previous : full_previous];
    const bool same = last.mark == base.at.position && last.time == static_cast<std::uint64_t>(base.at.unix_nanoseconds) && last.high == base.high &&
                      base.what == (of_logs ? kind::incremental : kind::full);
    if (same) continue;
    refuse(d->file.name(), std::string(of_logs ? "its last incremental" : "its last full") + " backup, marked at " + words(lgpos{last.mark}) + ", to build on",
           given + ", marked at " + words(lgpos{base.at.position}) + "; give that one, or take a full backup");
  }
  if (base.high >= log_->generation()) {
    refuse(here, "a set that ends before generation " + std::to_string(log_->generation()), given + ", up to generation " + std::to_string(base.high));
  }
}

asio::awaitable<void> instance_core::log_backup(backup_event event, bool durable) {
  std::vector<std::byte> bytes;
  record_builder record(bytes);
  record.begin_backup(now_ns(), event);
  record.finish();
  const lgpos at = co_await append_own(std::move(bytes), durable);
  static_cast<void>(at);
}

// --- begin and end

asio::awaitable<std::shared_ptr<running_backup>> instance_core::begin_backup(kind what, std::optional<backup_base> base,
                                                                                  std::function<void(std::error_code)> on_lost) {
  const call_guard running(*this);
  require_running();
  // Until an attach or a detach that runs has ended; the claim keeps new ones away.
  const detail::async_mutex::guard quiet = co_await attaching_.lock();
  require_running();
  require_loggable();
  const auto b = std::make_shared<running_backup>();
  b->what = what;
  b->on_lost = std::move(on_lost);
  b->log_bytes_at_begin = log_written_;
  b->log = log_->header().log;
  // First the logs: what the checkpoint names must not go while it is read.
  b->low = published_.generation();
  if (is_chained(what)) {
    const auto lacks = [](const auto& one) { return one.second->file.header().backups[full_previous].low == 0; };
    // The session says which one it is.
    if (std::none_of(databases_.begin(), databases_.end(), lacks)) {
      b->base = std::move(base);
      require_base(*b);
      b->low = b->base->high + 1;
    }
  }
  b->begun = log_->tip();
  b->at.position = b->begun.value;
  b->at.unix_nanoseconds = static_cast<std::int64_t>(now_ns());
  for (const auto& [id, d] : databases_) b->attached.push_back(id);
  backup_ = b;
  std::exception_ptr failure;
  try {
    if (!is_chained(what)) {
      // Every page that is written from now on has an image in a log of the set, so that a torn copy of it can be mended.
      for (const auto& [id, d] : databases_) d->horizon = d->dbtime;
      const detail::async_mutex::guard resting = co_await checkpointing_.lock();
      const checkpoint_state found = co_await read_checkpoint(fs_, how_);
      const std::string name = io::to_text(checkpoint_path(how_));
      if (!found.present) fail(errc::checkpoint_file_not_found, "begin backup", name);
      if (!found.in_force) fail(errc::checkpoint_corrupt, "begin backup", name, {}, "a good copy", "two that are damaged");
      if (found.in_force->log != log_->header().log) fail(errc::bad_checkpoint_signature, "begin backup", name, {}, "that of these logs", "another");
      b->low = found.in_force->redo.generation();
      if (b->low < lowest_generation_) {
        fail(errc::missing_log_file, "begin backup", io::to_text(numbered_log_path(how_, b->low)), {}, "the log of the checkpoint",
             "generation " + std::to_string(lowest_generation_) + " is the first");
      }
    }
    co_await log_backup(event_of(*b, phase_begin), false);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (backup_ == b) backup_.reset();
    std::rethrow_exception(failure);
  }
  co_return b;
}

asio::awaitable<void> instance_core::end_backup(std::shared_ptr<running_backup> of, bool committed) {
  if (backup_ != of) co_return;
  const call_guard running(*this);
  std::exception_ptr failure;
  try {
    require_running();
    if (!committed) co_await log_backup(event_of(*of, phase_abort), false);
    co_await log_backup(event_of(*of, phase_stop), false);
    log_->expect_soon();
  } catch (...) {
    failure = std::current_exception();   // of an instance that has failed: the backup is over all the same
  }
  if (backup_ == of) backup_.reset();
  if (failure && committed) std::rethrow_exception(failure);
}

void instance_core::forget_backup(std::shared_ptr<running_backup> of) noexcept {
  try {
    kept_->post([self = shared_from_this(), of] {
      if (self->backup_ == of) self->backup_.reset();
    });
  } catch (...) {
    // Without memory for it the logs stay until the instance ends.
  }
}

void instance_core::lose_backup() noexcept {
  const std::shared_ptr<running_backup> b = std::exchange(backup_, nullptr);
  if (b && b->on_lost) b->on_lost(make_error_code(errc::backup_abort_by_server));
}

// Below it circular logging may delete.
std::uint32_t instance_core::first_pinned() const noexcept {
  return backup_ ? std::min(backup_->low, published_.generation()) : published_.generation();
}

// --- databases

asio::awaitable<std::vector<database_info>> instance_core::backup_databases() {
  require_running();
  std::vector<database_info> out;
  for (const auto& [id, d] : databases_) {
    if (!d->ready) continue;
    const database_header& header = d->file.header();
    database_info one;
    one.id.value = id;
    one.name = d->file.name();
    one.restore_name = restore_name(d->stored_path, id);
    // Beside one whose own name is like that, or like its directory.
    const auto clashes = [&one](const database_info& other) {
      const std::string mine = one.restore_name + "/", its = other.restore_name + "/";
      return mine.starts_with(its) || its.starts_with(mine);
    };
    while (std::any_of(out.begin(), out.end(), clashes)) one.restore_name = "another-" + one.restore_name;
    one.signature = text_of(header.database);
    one.pages = d->pages;
    one.page_bytes = how_.page_size;
    one.last_full = told(header, full_previous);
    one.last_incremental = told(header, incremental_previous);
    one.last_copy = told(header, copy_previous);
    one.last_differential = told(header, differential_previous);
    out.push_back(std::move(one));
  }
  co_return out;
}

asio::awaitable<database_copy> instance_core::begin_copy(std::shared_ptr<const running_backup> of, std::uint8_t id) {
  const call_guard running(*this);
  require_running();
  const open_database& d = find(database{id}, "copy database");
  database_copy out;
  out.path = d.file.path();
  out.stored_path = d.stored_path;
  // First the header, then the size: what it asks for of the logs describes at least what is copied.
  out.header = d.file.header();
  out.header.state = database_state::dirty;
  out.header.dbtime = d.dbtime;
  out.pages = d.pages;
  out.header.pages = d.pages;
  backup_record& current = out.header.backups[full_current];
  current = backup_record();
  current.mark = of->at.position;
  current.time = static_cast<std::uint64_t>(of->at.unix_nanoseconds);
  current.low = of->low;
  co_return out;
}

// Pages that are allocated and were copied without a content: either it has not come to the file yet, and is in the logs of the set, or the file has
// lost it.
asio::awaitable<void> instance_core::require_content(std::uint8_t id, std::vector<page_no> those) {
  const call_guard running(*this);
  require_running();
  static_cast<void>(find(database{id}, "copy database"));
  const std::shared_ptr<open_database> d = databases_.at(id);
  page_buffer found(how_.page_size);
  for (const page_no n : those) {
    const page_no map = bitmap_of(n, how_.page_size);
    page_pins kept(*cache_);
    if (map != n) co_await kept.add(id, map);
    require_running();
    const auto wants = [&] {
      const bool allocated = map == n || bitmap_get(cache_->peek(id, map).content->all(), n, how_.page_size);
      return allocated && !cache_->waits(id, n);
    };
    if (!wants()) continue;
    page_holds::range one;
    one.id = id;
    one.first = n;
    one.count = 1;
    std::exception_ptr failure;
    bool lost = false;
    try {
      co_await cache_->hold(one);
      require_running();
      if (wants()) {
        const asio::mutable_buffer into(found.all().data(), found.all().size());
        co_await d->file.read_checked(n, into);
        lost = !has_content(found.all(), n, how_.page_size);
      }
    } catch (...) {
      failure = std::current_exception();
    }
    cache_->release(one);
    if (failure) std::rethrow_exception(failure);
    if (!lost) continue;
    fail(errc::read_verify_failure, "copy database", d->file.name(), page_offset(n, how_.page_size), "page " + std::to_string(n) + ", which is allocated",
         all_zero(found.all()) ? "zeros" : "an older content, from when it was free");
  }
}

asio::awaitable<database_trailer> instance_core::end_copy(std::shared_ptr<const running_backup> of, std::uint8_t id, std::uint32_t pages) {
  const call_guard running(*this);
  require_running();
  const open_database& d = find(database{id}, "copy database");
  const database_header& header = d.file.header();
  database_trailer out;
  out.mark = of->at.position;
  out.time = static_cast<std::uint64_t>(of->at.unix_nanoseconds);
  out.low = of->low;
  // All page versions that were read were durable in the log before they were written.
  out.high = log_->generation();
  out.min_required = header.min_required;
  out.max_required = std::max(header.max_required, out.high);
  out.max_committed = out.max_required;
  out.pages = pages;
  out.database = header.database;
  out.log = log_->header().log;
  out.dbtime = d.dbtime;
  co_return out;
}

asio::awaitable<void> instance_core::hold_pages(page_holds::range pages) {
  require_running();
  co_await cache_->hold(pages);
}

void instance_core::release_pages(page_holds::range pages) noexcept {
  kept_->post([self = shared_from_this(), pages] {
    if (self->cache_) self->cache_->release(pages);
  });
}

// --- logs

asio::awaitable<log_cut> instance_core::close_backup_logs(std::shared_ptr<running_backup> of) {
  const call_guard running(*this);
  require_running();
  const std::uint64_t now = now_ns();
  const bool by_logs = is_chained(of->what);
  if (by_logs && !of->base) fail(errc::missing_full_backup, "prepare logs", how_.directory.string(), {}, "a full backup of every database to build on");
  const std::function<std::vector<std::byte>()> first = [this, of, by_logs, now] {
    // Of the logs alone: it is marked where they end.
    if (by_logs) {
      of->at.position = log_->tip().value;
      of->at.unix_nanoseconds = static_cast<std::int64_t>(now);
    }
    of->end = log_->generation();
    std::vector<std::byte> bytes;
    record_builder record(bytes);
    record.begin_backup(now, event_of(*of, phase_logs));
    record.finish();
    return bytes;
  };
  const lgpos at = co_await roll_to(first);
  co_await log_->make_durable(at);
  log_cut out;
  out.copy.first = of->low;
  out.copy.end = of->end;
  out.first_present = lowest_generation_;
  if (by_logs) out.since = of->low;
  out.checkpoint = published_.generation();
  // One that was created meanwhile is in no set: its logs are all that there is of it (decision D10).
  for (const auto& [id, d] : databases_) {
    const bool later = d->attached && d->file.header().attached.value >= of->begun.value;
    if (later && d->file.header().backups[full_previous].low == 0) out.checkpoint = std::min<generation>(out.checkpoint, out.first_present);
  }
  co_return out;
}

asio::awaitable<log_copy> instance_core::find_closed_log(std::uint32_t generation) {
  const call_guard running(*this);
  require_running();
  log_copy out;
  out.path = numbered_log_path(how_, generation);
  if (generation + 1 == log_->generation()) {
    out.next = log_->header();
    co_return out;
  }
  const std::filesystem::path next = numbered_log_path(how_, generation + 1);
  const log_reader reader = co_await log_reader::open(fs_, next);
  reader.expect_generation(generation + 1);
  reader.expect_log(log_->header().log);
  out.next = reader.header();
  co_return out;
}

asio::awaitable<void> instance_core::delete_logs(log_range range) {
  const call_guard running(*this);
  require_running();
  if (range.end > published_.generation()) {
    fail(errc::invalid_parameter, "delete logs", how_.log_directory.string(), {}, "generations that recovery does not need", std::to_string(range.end));
  }
  backup_event event;
  event.phase = phase_truncate;
  if (backup_) event = event_of(*backup_, phase_truncate);
  event.low = static_cast<std::uint32_t>(range.first);
  event.high = static_cast<std::uint32_t>(range.end) - 1;
  co_await log_backup(event, true);
  const detail::async_mutex::guard mine = co_await deleting_.lock();   // not before: a roll waits for it
  const auto end = static_cast<std::uint32_t>(range.end);
  while (lowest_generation_ < end) {
    const std::filesystem::path path = numbered_log_path(how_, lowest_generation_);
    const std::error_code ec = co_await calls::remove(fs_, path);
    if (ec && !calls::is_missing(ec)) fail(ec, "delete log", io::to_text(path));
    ++lowest_generation_;
  }
  const std::error_code named = co_await calls::sync_directory(fs_, how_.log_directory);
  calls::check(named, "delete logs", how_.log_directory);
}

// --- what the databases remember

asio::awaitable<void> instance_core::record_in(std::shared_ptr<open_database> d, backup_event event) {
  event.id = d->id;
  co_await log_backup(event, true);
  const std::function<void(database_header&)> change = [event](database_header& header) { remember_backup(header, event); };
  co_await d->file.update(change);
}

asio::awaitable<void> instance_core::record_backup(std::shared_ptr<const running_backup> of, outcome result) {
  const call_guard running(*this);
  require_running();
  const backup_event event = event_of(*of, backup_phase_update);
  std::vector<std::shared_ptr<open_database>> those;
  for (const auto& [number, d] : databases_) {
    const std::uint8_t id = number;
    const bool copied = std::any_of(result.complete.begin(), result.complete.end(), [id](database_id one) { return one.value == id; });
    // One that was created meanwhile is in no set that this one builds on.
    const bool has_base = is_chained(of->what) && std::find(of->attached.begin(), of->attached.end(), id) != of->attached.end();
    if (d->ready && (copied || has_base)) those.push_back(d);
  }
  std::exception_ptr failure;
  std::error_code why;
  try {
    for (const auto& d : those) co_await record_in(d, event);
  } catch (const std::system_error& e) {
    failure = std::current_exception();
    why = e.code();
  }
  if (!failure) co_return;
  // Of a header nobody knows then which copy is in force.
  if (why != errc::log_disk_full) lost(why);
  std::rethrow_exception(failure);
}

}  // namespace contrail::pagestore
