#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/log/database_path.hpp"
#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/log_record.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/buffer.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

// Databases come and go; each step is durable before the next relies on it (docs/pagestore.md, "States of a database").
namespace contrail::pagestore {

namespace {

/// Of all writings of a name that are one on this system, one (there are systems where capitals do not count).
std::string folded(const std::string& name) { return io::file_names_fold() ? io::fold_file_name(name) : name; }

signature new_signature() {
  std::random_device random;
  signature out;
  out.random = (std::uint64_t{random()} << 32U) | random();
  out.created = now_ns();
  return out;
}

}  // namespace

void instance_core::refuse_beside_backup(const char* operation) const {
  if (claimed_) fail(errc::backup_in_progress, operation, how_.directory.string(), {}, "no backup of this instance", "one that runs");
}

std::vector<attached_database> instance_core::attached_list() const {
  std::vector<attached_database> out;
  for (const auto& [id, d] : databases_) {
    if (!d->attached) continue;
    attached_database one;
    one.id = id;
    one.database = d->file.header().database;
    one.dbtime = d->dbtime;
    one.path = d->stored_path;
    out.push_back(std::move(one));
  }
  return out;
}

std::uint8_t instance_core::free_id() const {
  for (std::uint8_t id = 1; id <= most_databases; ++id)
    if (databases_.count(id) == 0) return id;
  fail(errc::invalid_parameter, "attach database", {}, {}, "at most " + std::to_string(most_databases) + " databases", "another one");
}

open_database& instance_core::find(database which, std::string_view operation) {
  const auto at = databases_.find(which.id);
  if (at == databases_.end() || !at->second->ready) {
    fail(errc::database_not_found, std::string(operation), {}, {}, "a database that is attached", "number " + std::to_string(which.id));
  }
  return *at->second;
}

database_file* instance_core::file_of(std::uint8_t id) noexcept {
  const auto at = databases_.find(id);
  return at == databases_.end() ? nullptr : &at->second->file;
}

asio::awaitable<std::uint32_t> instance_core::pages(database which) {
  require_running();
  const open_database& d = find(which, "count pages");
  co_return d.pages;
}

// Names that the store gives to files of its own must not be those of databases, in no writing that the system takes for the same.
void instance_core::require_free_name(const std::string& stored) const {
  const std::size_t slash = stored.rfind('/');
  const std::string name = folded(slash == std::string::npos ? stored : stored.substr(slash + 1));
  const std::string& base = how_.base_name;
  const auto is = [&name](const std::string& own) { return name == folded(own); };
  bool taken = is(current_log_name(base)) || is(prepared_log_name(base)) || is(checkpoint_name(base)) || is(lock_name(base)) ||
               name.ends_with(folded(std::string(unfinished_suffix)));
  const std::string log = log_name(base, 1);
  const std::string first = folded(base), last = folded(log.substr(log.rfind('.')));
  if (name.size() > first.size() + last.size() && name.starts_with(first) && name.ends_with(last)) {
    const std::string number = name.substr(first.size(), name.size() - first.size() - last.size());
    taken = taken || generation_of(base, base + number + log.substr(log.rfind('.')));
  }
  if (taken) fail(errc::invalid_path, "attach database", stored, {}, "a name of its own", "one that the store gives to another file");
}

// A place among the databases that nobody else takes; given back when nothing comes of it.
asio::awaitable<std::shared_ptr<open_database>> instance_core::admit(std::filesystem::path path) {
  if (stopping_service_) fail(errc::client_request_to_stop_service, "attach database", path.string());
  auto d = std::make_shared<open_database>();
  d->stored_path = stored_path(how_, path);
  require_free_name(d->stored_path);
  d->id = free_id();
  databases_.emplace(d->id, d);
  co_return d;
}

// On the file itself, whatever its name: what an instance has open no other one may.
asio::awaitable<void> instance_core::lock_database(std::shared_ptr<open_database> d, std::filesystem::path path) {
  const calls::found there = co_await calls::stat(fs_, path);   // the lock would make it
  if (calls::is_missing(there.ec)) fail(errc::file_not_found, "attach database", io::to_text(path));
  calls::locked taken = co_await calls::lock(fs_, path);
  if (calls::is_held(taken.ec)) {
    fail(errc::file_access_denied, "attach database", io::to_text(path), {}, "a database that nobody has open", "one that is in use, perhaps by another name");
  }
  calls::check(taken.ec, "attach database", path);
  d->lock = std::move(taken.lock);
}

// From a file that is there to a database in use: the record, then the header that asks for the logs from it on.
asio::awaitable<database> instance_core::publish(std::shared_ptr<open_database> d, record_type how) {
  page_buffer one(how_.page_size);
  co_await d->file.read_checked(1, asio::buffer(one.all().data(), one.all().size()));
  const page_header first = get_page_header(one.all());
  d->pages = bitmap_pages(one.all());
  if (first.kind != page_kind::bitmap || d->pages == 0) {
    fail(errc::database_corrupted, "attach database", d->file.name(), page_offset(1, how_.page_size), "a map of pages", "another page");
  }
  d->dbtime = d->file.header().dbtime;
  d->horizon = d->dbtime;
  database_record content;
  content.id = d->id;
  content.database = d->file.header().database;
  content.page_size = how_.page_size;
  content.pages = d->pages;
  content.dbtime = d->dbtime;
  content.cleaned = d->file.header().cleaned;
  content.log = d->file.header().log;
  content.path = d->stored_path;
  std::vector<std::byte> bytes;
  record_builder record(bytes);
  record.begin_database(how, now_ns(), content);
  record.finish();
  // No round from the record to the header: its checkpoint would list a database whose header is still that of its last detach, and older than
  // the checkpoint, as that of an old file put in its place is.
  detail::async_mutex::guard no_round;
  do {
    no_round.release();
    co_await wait_for_log(bytes.size(), log_stream::reserve::engine);   // may take a round; the rest is for detaching and ending
    no_round = co_await rounding_.lock();
    if (dead_) require_running();
  } while (!log_->fits(bytes.size(), log_stream::reserve::engine));
  const lgpos at = log_->append(bytes);
  d->attached = true;
  co_await log_->make_durable(at);
  const std::function<void(database_header&)> change = [this, at, d](database_header& h) {
    // What it remembers of backups speaks of the generations of other logs, or of what was done in another copy of it.
    if (!log_->writes() || h.log != log_->header().log || !let_go_.has(h)) h.backups = {};
    h.log = log_->writes() ? log_->header().log : signature();   // no logs can bring it up to date
    h.state = database_state::dirty;
    h.id = d->id;
    h.redo = std::max(at, published_);
    h.min_required = h.redo.generation();
    h.max_required = log_->generation();
    h.max_committed = h.max_required;
    h.attached = at;
    h.backups[full_current] = backup_record();
    h.backups[snapshot_current] = backup_record();
  };
  co_await d->file.update(change);
  attached_database again;
  again.path = d->stored_path;
  again.database = d->file.header().database;
  let_go_.forget(again);
  d->ready = true;
  co_return database{d->id};
}

asio::awaitable<database> instance_core::attach(std::filesystem::path path) {
  const call_guard running(*this);
  require_running();
  refuse_beside_backup("attach database");
  const detail::async_mutex::guard one = co_await attaching_.lock();
  require_running();
  refuse_beside_backup("attach database");   // it may have begun meanwhile
  const std::string stored = stored_path(how_, path);
  for (const auto& [id, d] : databases_) {
    if (d->stored_path == stored && d->ready) co_return database{id};
  }
  const std::shared_ptr<open_database> d = co_await admit(path);
  std::exception_ptr failure;
  database out;
  try {
    const std::filesystem::path real = real_path(how_, stored);
    co_await lock_database(d, real);
    database_file file = co_await database_file::open(fs_, real, how_.page_size);
    const database_header& h = file.header();
    if (h.state == database_state::being_created) {
      fail(errc::database_corrupted, "attach database", file.name(), {}, "a database", "one whose creation was not finished");
    }
    for (const auto& [id, other] : databases_) {
      if (other == d || !other->file.is_open() || other->file.header().database != h.database) continue;
      fail(errc::database_in_use, "attach database", file.name(), {}, "a database that is not attached",
           "a copy of " + other->file.name() + ", which is; their changes could not be told apart");
    }
    if (h.backups[full_current].low != 0) {
      fail(errc::soft_recovery_on_backup_database, "attach database", file.name(), {}, "a database",
           "a copy from a backup whose logs were not replayed; restore it");
    }
    if (h.state != database_state::clean) {
      fail(errc::database_dirty_shutdown, "attach database", file.name(), {}, "a database that was let go of cleanly",
           "one that an instance left dirty; open that instance, which recovers it");
    }
    d->file = std::move(file);
    // Somebody may have put it there a moment ago, and not synced it: what is committed in it must be found under this name.
    co_await d->file.sync();
    const std::filesystem::path directory = calls::directory_of(real);
    const std::error_code named = co_await calls::sync_directory(fs_, directory);
    calls::check(named, "attach database", directory);
    out = co_await publish(d, record_type::attach);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (!d->attached) databases_.erase(d->id);
    else lost(make_error_code(errc::instance_unavailable));
    std::rethrow_exception(failure);
  }
  co_return out;
}

// Under another name first: what stands under its own is always a database, if one whose creation was not finished.
asio::awaitable<signature> instance_core::make_file(std::filesystem::path path, std::filesystem::path before) {
  database_header header;
  header.page_size = how_.page_size;
  header.database = new_signature();
  header.state = database_state::being_created;
  header.pages = how_.growth;
  header.dbtime = 1;
  database_file file = co_await database_file::create(fs_, before, header);
  for (std::uint64_t n = 1; n <= how_.growth; n += pages_a_bitmap(how_.page_size)) {
    page_buffer map(how_.page_size);
    std::memset(map.all().data(), 0, how_.page_size);
    page_header h;
    h.number = static_cast<page_no>(n);
    h.kind = page_kind::bitmap;
    h.dbtime = 1;
    h.signature = header.database.random;
    put_page_header(map.all(), h);
    if (n == 1) set_bitmap_pages(map.all(), how_.growth);
    bitmap_set(map.all(), h.number, how_.page_size, true);
    seal_page(map.all());
    co_await file.write(h.number, asio::buffer(map.all().data(), map.all().size()));
  }
  co_await file.sync();
  file.close();
  std::error_code ec = co_await calls::rename_new(fs_, before, path);
  if (calls::is_taken(ec)) {
    // The remains of a creation make way.
    bool unfinished = false;
    const calls::locked mine = co_await calls::lock(fs_, path);   // not that of somebody who is at it
    if (calls::is_held(mine.ec)) calls::check(ec, "create database", path);
    calls::check(mine.ec, "create database", path);
    try {
      const database_file there = co_await database_file::open(fs_, path, 0);
      unfinished = there.header().state == database_state::being_created;
    } catch (const error& e) {
      if (e.code().category() != category()) throw;   // it cannot be read; else it is something that is not ours to replace
    }
    if (unfinished) ec = co_await calls::rename(fs_, before, path);
  }
  calls::check(ec, "create database", path);
  ec = co_await calls::sync_directory(fs_, calls::directory_of(path));
  calls::check(ec, "create database", path);
  co_return header.database;
}

asio::awaitable<database> instance_core::create(std::filesystem::path path) {
  const call_guard running(*this);
  require_running();
  const detail::async_mutex::guard one = co_await attaching_.lock();
  require_running();
  const std::shared_ptr<open_database> d = co_await admit(path);
  const std::filesystem::path real = real_path(how_, d->stored_path);
  std::filesystem::path before = real;
  before += unfinished_suffix;
  std::exception_ptr failure;
  database out;
  try {
    const std::error_code cleared = co_await calls::remove(fs_, before);
    if (cleared && !calls::is_missing(cleared)) calls::check(cleared, "create database", before);
    const signature made = co_await make_file(real, before);
    co_await lock_database(d, real);
    d->file = co_await database_file::open(fs_, real, how_.page_size);
    if (d->file.header().database != made) {
      fail(std::make_error_code(std::errc::file_exists), "create database", io::to_text(real), {}, "a free name", "one that another instance has just taken");
    }
    out = co_await publish(d, record_type::create);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    if (d->attached) {
      lost(make_error_code(errc::instance_unavailable));
    } else {
      d->file.close();
      d->lock.release();
      databases_.erase(d->id);
      const std::error_code ignored = co_await calls::remove(fs_, before);
      static_cast<void>(ignored);
    }
    std::rethrow_exception(failure);
  }
  co_return out;
}

asio::awaitable<void> instance_core::detach(database which) {
  const call_guard running(*this);
  require_running();
  refuse_beside_backup("detach database");
  const detail::async_mutex::guard one = co_await attaching_.lock();
  const detail::async_mutex::guard no_round = co_await rounding_.lock();
  require_running();
  refuse_beside_backup("detach database");   // it may have begun meanwhile
  open_database& found = find(which, "detach database");
  const std::shared_ptr<open_database> d = databases_.at(found.id);
  if (d->users != 0) {
    fail(errc::database_in_use, "detach database", d->file.name(), {}, "no open transaction on it", std::to_string(d->users));
  }
  d->ready = false;
  std::exception_ptr failure;
  std::error_code why;
  try {
    co_await cache_->write_older(no_end, d->id);
    co_await sync_database(d);
    database_record content;
    content.id = d->id;
    content.database = d->file.header().database;
    std::vector<std::byte> bytes;
    record_builder record(bytes);
    record.begin_database(record_type::detach, now_ns(), content);
    record.finish();
    co_await wait_for_log(bytes.size(), log_stream::reserve::end);   // as long as there is a way back
    const lgpos tip = log_->tip();
    co_await log_->settle(tip);
    co_await make_clean(d, tip);
    co_await wait_for_log(bytes.size(), log_stream::reserve::end);
    const lgpos at = log_->append(bytes);
    d->attached = false;
    co_await log_->make_durable(at);
  } catch (const std::system_error& e) {
    failure = std::current_exception();
    why = e.code();
  }
  if (failure) {
    const bool no_log = why == errc::log_disk_full || why == errc::log_sequence_end;
    const bool untouched = why == errc::disk_full || (no_log && d->file.header().state == database_state::dirty);
    if (untouched) d->ready = true;
    else failed(why);
    std::rethrow_exception(failure);
  }
  remember(*d, false);
  cache_->drop(d->id);
  databases_.erase(d->id);
  d->file.close();
  d->lock.release();
}

// It is clean now. Checkpoints list it: for whoever looks for all that belongs to the store, and to know it again.
void instance_core::remember(const open_database& d, bool belongs) {
  const database_header& h = d.file.header();
  attached_database entry;
  entry.flags = belongs ? attached_no_more : attached_apart;
  entry.path = d.stored_path;
  entry.database = h.database;
  entry.dbtime = h.dbtime;
  entry.cleaned = h.cleaned;
  let_go_.put(std::move(entry));
  let_go_.keep(most_databases);
}

asio::awaitable<void> instance_core::make_clean(std::shared_ptr<open_database> d, lgpos tip) {
  const std::function<void(database_header&)> change = [d, tip](database_header& h) {
    h.state = database_state::clean;
    h.dbtime = d->dbtime;
    h.pages = d->pages;
    h.min_required = 0;
    h.max_required = 0;
    h.max_committed = 0;
    h.cleaned = tip;
  };
  co_await d->file.update(change);
}

// The pages first, on the disk; then the record that counts them.
asio::awaitable<void> instance_core::grow(open_database& d, std::uint32_t least) {
  const detail::async_mutex::guard mine = co_await d.growing.lock();
  if (d.pages >= least) co_return;
  constexpr std::uint32_t most = 0xfffffffe;
  if (d.pages >= most) fail(errc::disk_full, "grow database", d.file.name(), {}, "fewer than " + std::to_string(most) + " pages");
  const std::uint32_t pages = d.pages > most - how_.growth ? most : d.pages + how_.growth;
  std::exception_ptr failure;
  std::error_code why;
  bool written = false;
  try {
    co_await d.file.extend(d.pages, pages);
    written = true;
    co_await d.file.sync();
  } catch (const std::system_error& e) {
    failure = std::current_exception();
    why = e.code();
  }
  if (failure) {
    if (!written && calls::is_full(why)) fail(errc::disk_full, "grow database", d.file.name(), page_offset(d.pages, how_.page_size));
    // Data of pages may have been lost with the sync that failed.
    failed(why);
    std::rethrow_exception(failure);
  }
  co_await append_growth(d, pages);
}

}  // namespace contrail::pagestore
