#include "engines/pagestore/recovery/database_set.hpp"

#include "engines/pagestore/log/database_path.hpp"

#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <utility>

namespace contrail::pagestore {

namespace {

error refusal(errc code, const recovered_database& d, std::string expected, std::string found) {
  error_details details;
  details.operation = "recover database";
  details.file = d.name;
  details.expected = std::move(expected);
  details.found = std::move(found);
  return error(make_error_code(code), std::move(details));
}

std::string number(std::uint64_t value) { return std::to_string(value); }
std::string words(lgpos at) { return "generation " + number(at.generation()) + ", byte " + number(at.offset()); }

}  // namespace

database_set::database_set(io::file_system fs, parameters how, log_reach reach) : fs_(std::move(fs)), how_(std::move(how)), reach_(std::move(reach)) {}

std::shared_ptr<recovered_database> database_set::find_given(const attachment& what) {
  for (const auto& known : given_) {
    if (known->from.what.database != what.what.database) continue;
    judge_again(*known, what);
    return known;
  }
  auto out = std::make_shared<recovered_database>();
  out->name = what.what.path;
  out->from = what;
  return out;
}

// A copy of a backup, behind the attachment in which it was made: the log may have had another file under its signature since, an older one that was
// put back, or one that was in use elsewhere meanwhile. Its changes are not for what was redone here, which stays as it was let go of.
void database_set::judge_again(recovered_database& d, const attachment& what) {
  d.other = false;
  if (!what.record || *what.record <= d.file.header().attached) return;
  const std::uint64_t reached = std::max(d.dbtime, d.logged);
  const bool goes_on = what.what.dbtime == reached && what.cleaned >= d.last_commit && what.log == d.file.header().log;
  d.other = !goes_on;
}

std::shared_ptr<recovered_database> database_set::find_last(const attachment& what) {
  for (const auto& known : given_) {
    if (known->from.what.database == what.what.database && known->from.what.path == what.what.path && known->from.record == what.record) return known;
  }
  auto out = std::make_shared<recovered_database>();   // it ended: nothing is for it
  out->from = what;
  return out;
}

asio::awaitable<std::shared_ptr<recovered_database>> database_set::open(attachment what) {
  const auto out = std::make_shared<recovered_database>();
  const std::filesystem::path path = real_path(how_, what.what.path);
  out->from = std::move(what);
  out->name = io::to_text(path);
  const calls::found there = co_await calls::stat(*fs_, path);   // the lock would make it
  if (calls::is_missing(there.ec)) {
    out->absent = true;
    out->problem = refusal(errc::attached_database_mismatch, *out, "the database that the log has attached", "no file");
    co_return out;
  }
  // First the lock: what is read then is what stays.
  calls::locked taken = co_await calls::lock(*fs_, path);
  if (calls::is_held(taken.ec)) {
    out->problem = refusal(errc::file_access_denied, *out, "a database that nobody has open", "one that another instance has attached");
  } else if (taken.ec) {
    error_details details;
    details.operation = "recover database";
    details.file = out->name;
    out->problem = error(taken.ec, std::move(details));
  }
  if (out->problem) co_return out;
  try {
    out->file = co_await database_file::open(*fs_, path, reach_.page_size);
  } catch (const error& e) {
    out->absent = e.code() == errc::file_not_found;
    out->problem = out->absent ? refusal(errc::attached_database_mismatch, *out, "the database that the log has attached", "no file") : e;
  }
  if (out->problem) co_return out;
  if (out->file.header().database != out->from.what.database) {
    out->absent = true;
    out->problem = refusal(errc::attached_database_mismatch, *out, "the database that the log has attached", "another database under its name");
    out->file.close();
    co_return out;
  }
  out->lock = std::move(taken.lock);
  judge(*out);
  co_return out;
}

void database_set::judge(recovered_database& d) {
  const database_header& h = d.file.header();
  d.dbtime = h.dbtime;
  d.pages = h.pages;
  d.backups = h.backups;
  if (h.backups[full_current].low != 0) {
    d.problem = refusal(errc::soft_recovery_on_backup_database, d, "the database that was in use", "a copy that a backup made; restore it with its logs");
  } else if (h.state == database_state::being_created) {   // its record was written, and nothing after it
    d.takes_part = true;
  } else if (h.state == database_state::clean) {
    judge_clean(d);
  } else {
    judge_dirty(d);
  }
}

// Nothing is missing in it. It is the one that was attached when its attachment had not reached the header, or when it has ended, but for the record.
void database_set::judge_clean(recovered_database& d) {
  const database_header& h = d.file.header();
  const attachment& from = d.from;
  d.clean = true;
  const bool ours = h.log == reach_.log;
  const std::string expected = "a database with the changes up to " + number(from.what.dbtime);
  if (h.dbtime < from.what.dbtime) {
    d.problem = refusal(errc::required_log_files_missing, d, expected, "an older file, with those up to " + number(h.dbtime));
    return;
  }
  d.elsewhere = !ours;
  const bool ended = ours && (!from.record || h.cleaned > *from.record);
  // Another store may have gone on with it: it was let go of here, but for the record.
  if (from.record && !ended && ours && (h.dbtime != from.what.dbtime || h.cleaned != from.cleaned || h.log != from.log)) {
    d.problem = refusal(errc::required_log_files_missing, d, expected + ", as it was attached", "another file of it, with those up to " + number(h.dbtime));
    return;
  }
  if (!ours) return;   // it was detached here, and lives elsewhere now; or its attachment here had not begun
  if (reach_.checkpoint && h.cleaned < reach_.checkpoint->redo && (!from.record || *from.record < reach_.checkpoint->redo)) {
    d.problem = refusal(errc::required_log_files_missing, d, "the state of the checkpoint at " + words(reach_.checkpoint->redo),
                        "an older file, clean since " + words(h.cleaned));
    return;
  }
  d.takes_part = true;
}

void database_set::judge_dirty(recovered_database& d) {
  const database_header& h = d.file.header();
  const auto refuse = [&d](std::string expected, std::string found) {
    d.problem = refusal(errc::required_log_files_missing, d, std::move(expected), std::move(found));
  };
  d.elsewhere = h.log != reach_.log;
  if (d.elsewhere) return refuse("a database of these logs", "one that is in use with other logs");
  const bool same = d.from.record ? h.attached == *d.from.record : h.attached < d.from.listed;
  if (!same) {
    return refuse("the file that was attached " + (d.from.record ? "at " + words(*d.from.record) : "before " + words(d.from.listed)),
                  "one that was in use from " + words(h.attached) + " on");
  }
  if (std::max(h.max_required, h.max_committed) > reach_.highest) {
    return refuse("logs up to generation " + number(std::max(h.max_required, h.max_committed)), "generation " + number(reach_.highest) + " is the last");
  }
  const lgpos from = std::max(h.redo, h.attached);
  const std::uint32_t lowest = h.min_required == 0 ? from.generation() : std::min(h.min_required, from.generation());
  if (lowest < reach_.lowest) {
    return refuse("logs from generation " + number(lowest) + " on", "generation " + number(reach_.lowest) + " is the first");
  }
  d.takes_part = true;
  if (!needed_start_ || from < *needed_start_) needed_start_ = from;
}

void database_set::bind(attachment what) {
  ended_.forget(what.what);
  binding& b = bindings_.at(what.what.id);
  b.used = true;
  b.what = std::move(what);
  b.database.reset();
}

void database_set::let_go(const attachment& what, const recovered_database* found, end_of_attachment how) {
  attached_database entry = what.what;
  entry.flags = how == end_of_attachment::apart ? attached_apart : attached_no_more;
  entry.cleaned = lgpos();
  const lgpos begun = what.record.value_or(what.listed);
  if (found != nullptr && found->file.is_open() && found->clean && found->takes_part && found->file.header().cleaned > begun) {
    entry.dbtime = found->file.header().dbtime;
    entry.cleaned = found->file.header().cleaned;
  }
  ended_.put(std::move(entry));
}

std::shared_ptr<recovered_database> database_set::unbind(std::uint32_t id, end_of_attachment how) {
  if (id >= bindings_.size()) return nullptr;
  const binding ended = std::exchange(bindings_[id], binding());
  if (ended.used && !closed_ && !decided_ && how != end_of_attachment::known) let_go(ended.what, ended.database.get(), how);
  if (ended.database) ended.database->other = false;
  if (closed_ || decided_ || !ended.database) return nullptr;
  ended.database->takes_part = false;
  ended.database->file.close();
  ended.database->lock.release();
  return ended.database;
}

asio::awaitable<void> database_set::open_bound() {
  for (binding& b : bindings_) {
    if (!b.used || b.database) continue;
    if (closed_) b.database = find_given(b.what);
    else if (decided_) b.database = find_last(b.what);
    else b.database = co_await open(b.what);
    b.database->met = true;
  }
}

void database_set::begin_again() {
  if (!closed_) given_ = bound_ones();
  for (const auto& d : given_) {
    if (!closed_) break;
    d->logged = 0;   // what is attached again is held against it once more
    d->last_commit = lgpos();
    d->other = false;
  }
  decided_ = !closed_;
  for (binding& b : bindings_) b = binding();
}

const std::shared_ptr<recovered_database>& database_set::bound(std::uint32_t id) const noexcept {
  static const std::shared_ptr<recovered_database> none;
  return id < bindings_.size() ? bindings_[id].database : none;
}

std::vector<std::shared_ptr<recovered_database>> database_set::bound_ones() const {
  std::vector<std::shared_ptr<recovered_database>> out;
  for (const binding& b : bindings_) {
    if (b.used && b.database) out.push_back(b.database);
  }
  return out;
}

}  // namespace contrail::pagestore
