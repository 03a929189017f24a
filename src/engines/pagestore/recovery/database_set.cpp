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

asio::awaitable<std::shared_ptr<recovered_database>> database_set::find(attached_database what) {
  if (closed_) co_return find_given(std::move(what));
  for (const auto& known : all_) {
    if (known->what.path == what.path && known->what.database == what.database) co_return known;
  }
  const auto out = std::make_shared<recovered_database>();
  const std::filesystem::path path = real_path(how_, what.path);
  out->what = std::move(what);
  out->name = io::to_text(path);
  try {
    out->file = co_await database_file::open(*fs_, path, reach_.page_size);
  } catch (const error& e) {
    if (e.code() == errc::file_not_found) {
      out->absent = true;
      out->problem = refusal(errc::attached_database_mismatch, *out, "the database that the log has attached", "no file");
    } else if (e.code() == errc::database_corrupted || e.code() == errc::page_size_mismatch) {
      out->problem = e;
    } else {
      throw;
    }
  }
  if (out->file.is_open()) {
    // By another name it is still one file, whose pages have one history.
    const io::file_facts facts = out->file.facts();
    for (const auto& known : all_) {
      if (!known->file.is_open() || known->what.database != out->what.database) continue;
      const io::file_facts other = known->file.facts();
      if (other.device == facts.device && other.inode == facts.inode) co_return known;
    }
    calls::locked taken = co_await calls::lock(*fs_, path);
    if (calls::is_held(taken.ec)) {
      out->problem = refusal(errc::file_access_denied, *out, "a database that nobody has open", "one that another instance has attached");
      out->file.close();
    } else {
      calls::check(taken.ec, "recover database", path);
      out->lock = std::move(taken.lock);
    }
  }
  if (!out->problem) judge(*out);
  all_.push_back(out);
  co_return out;
}

std::shared_ptr<recovered_database> database_set::find_given(attached_database what) {
  for (const auto& known : all_) {
    if (known->what.database == what.database) return known;
  }
  auto out = std::make_shared<recovered_database>();
  out->name = what.path;
  out->what = std::move(what);
  all_.push_back(out);
  return out;
}

void database_set::judge(recovered_database& d) {
  const database_header& h = d.file.header();
  d.dbtime = h.dbtime;
  d.pages = h.pages;
  d.backups = h.backups;
  d.clean = h.state == database_state::clean;
  if (h.database != d.what.database) {
    d.absent = true;
    d.problem = refusal(errc::attached_database_mismatch, d, "the database that the log has attached", "another database under its name");
    d.file.close();
    return;
  }
  if (h.backups[full_current].low != 0) {
    d.problem = refusal(errc::soft_recovery_on_backup_database, d, "the database that was in use", "a copy that a backup made; restore it with its logs");
    return;
  }
  if (h.state == database_state::being_created) {   // its record was written, and nothing after it
    d.takes_part = true;
    return;
  }
  const bool ours = h.log == reach_.log;
  if (d.clean) {
    d.takes_part = ours;   // another log: it was detached here, and lives there now; or its attachment here had not begun
    if (!ours || !reach_.checkpoint || h.cleaned >= reach_.checkpoint->redo) return;
    for (const attached_database& a : reach_.checkpoint->attached) {
      if (a.database != h.database || a.path != d.what.path) continue;
      d.takes_part = false;
      d.problem = refusal(errc::required_log_files_missing, d, "the state of the checkpoint at " + words(reach_.checkpoint->redo),
                          "an older file, clean since " + words(h.cleaned));
    }
    return;
  }
  if (!ours) {
    d.problem = refusal(errc::required_log_files_missing, d, "a database of these logs", "one that is in use with other logs");
    return;
  }
  if (std::max(h.max_required, h.max_committed) > reach_.highest) {
    d.problem = refusal(errc::required_log_files_missing, d, "logs up to generation " + number(std::max(h.max_required, h.max_committed)),
                        "generation " + number(reach_.highest) + " is the last");
    return;
  }
  const lgpos from = std::max(h.redo, h.attached);
  const std::uint32_t lowest = h.min_required == 0 ? from.generation() : std::min(h.min_required, from.generation());
  if (lowest < reach_.lowest) {
    d.problem = refusal(errc::required_log_files_missing, d, "logs from generation " + number(lowest) + " on",
                        "generation " + number(reach_.lowest) + " is the first");
    return;
  }
  d.takes_part = true;
  if (!needed_start_ || from < *needed_start_) needed_start_ = from;
}

void database_set::bind(const attached_database& what, std::optional<lgpos> record) {
  binding& b = bindings_.at(what.id);
  b.used = true;
  b.record = record;
  b.what = what;
  b.database.reset();
}

void database_set::unbind(std::uint32_t id) noexcept {
  if (id < bindings_.size()) bindings_[id] = binding();
}

void database_set::unbind_all() noexcept {
  for (binding& b : bindings_) b = binding();
}

asio::awaitable<void> database_set::open_bound() {
  for (binding& b : bindings_) {
    if (!b.used || b.database) continue;
    b.database = co_await find(b.what);
    recovered_database& d = *b.database;
    // A dirty header's counter is a lower bound, and what it lacks is in the log from where it says on. A clean one's is exact.
    const std::uint64_t known = std::max(d.dbtime, d.logged);
    // What a record says of another file, which had this one's place before, is not about this one.
    const bool exact = d.clean || (b.record && d.takes_part && *b.record >= d.file.header().attached);
    d.met = true;
    if (d.takes_part && exact && known < b.what.dbtime) {
      d.takes_part = false;
      d.problem = refusal(errc::required_log_files_missing, d, "a database with the changes up to " + number(b.what.dbtime),
                          "an older file, with those up to " + number(known));
    }
  }
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
