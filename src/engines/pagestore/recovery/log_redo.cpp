#include "engines/pagestore/recovery/log_redo.hpp"

#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/recovery/backup_records.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace contrail::pagestore {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

/// Is what the log has at this place for the file as it is now? All before it became clean was written then; and when it was attached it was clean
/// and complete, whatever history the log has for another file that had its place.
bool is_for(const recovered_database& d, lgpos at) {
  if (!d.file.is_open()) return true;
  const database_header& h = d.file.header();
  return at >= (d.clean ? h.cleaned : h.attached);
}

}  // namespace

void log_redo::begin() {
  set_.unbind_all();
  window_.clear();
}

asio::awaitable<void> log_redo::take(const log_reader& log, bool counts) {
  const record_type type = log.record().type;
  if (type == record_type::commit) {
    window_.add(log.position(), log.bytes());
    if (window_.full()) co_await apply_window();
    co_return;
  }
  const auto unreadable = [&log] {
    fail(errc::log_file_corrupt, "read log", log.name(), log.position().offset(), "a record of type " + number(static_cast<unsigned>(log.record().type)),
         "fields that lead out of it");
  };
  switch (type) {
    case record_type::create:
    case record_type::attach:
    case record_type::detach: {
      const std::optional<database_record> record = read_database_record(log.bytes());
      if (!record || record->id == 0 || record->id > most_databases) unreadable();
      co_await apply_window();
      set_.unbind(record->id);
      if (type == record_type::detach) break;
      attached_database what;
      what.id = record->id;
      what.database = record->database;
      what.dbtime = record->dbtime;
      what.path = record->path;
      set_.bind(what, counts ? std::optional(log.position()) : std::nullopt);
      break;
    }
    case record_type::shutdown:
    case record_type::recovered:
      co_await apply_window();
      set_.unbind_all();
      break;
    case record_type::backup: {
      const std::optional<backup_event> event = read_backup_event(log.bytes());
      if (!event) unreadable();
      if (!counts || event->phase != backup_phase_update) break;
      const auto database = set_.bound(event->id);
      if (!database || !database->takes_part) break;
      database_header header;
      header.backups = database->backups;
      if (remember_backup(header, *event)) database->backups = header.backups;
      break;
    }
    default: break;
  }
}

asio::awaitable<void> log_redo::apply_window() {
  std::vector<redo_change> changes;
  for (const record_window::entry& e : window_.entries()) {
    std::optional<commit_record> record = read_commit(window_.bytes(e), page_size_);
    const auto corrupt = [&](const std::string& found) {
      fail(errc::log_file_corrupt, "read log", io::to_text(path_of_(e.at.generation())), e.at.offset(), "a transaction", found);
    };
    if (!record) corrupt("fields that lead out of it");
    for (const touched_database& t : record->databases) {
      const auto& database = set_.bound(t.id);
      if (!database) corrupt("one of database " + number(t.id) + ", which is not attached there");
      if (is_for(*database, e.at)) database->logged = std::max(database->logged, t.dbtime);
    }
    for (page_change& c : record->changes) {
      const auto& database = set_.bound(c.id);
      if (!database) corrupt("a change of database " + number(c.id) + ", which is not attached there");
      if (!database->takes_part || !is_for(*database, e.at)) continue;
      if (c.number > database->highest_page) {
        database->highest_page = c.number;
        database->highest_at = e.at;
      }
      redo_change r;
      r.database = database;
      r.change = std::move(c);
      r.at = e.at;
      changes.push_back(std::move(r));
    }
  }
  co_await pages_.apply(changes);
  window_.clear();
}

asio::awaitable<void> log_redo::check_page_numbers(recovered_database& d) {
  if (!d.page_one_seen) {
    page_buffer page(page_size_);
    const byte_span bytes = page.all();
    const asio::mutable_buffer into(bytes.data(), bytes.size());
    co_await d.file.read_checked(1, into);
    d.pages = std::max(d.pages, bitmap_pages(bytes));
  }
  if (d.highest_page <= d.pages) co_return;
  fail(errc::log_file_corrupt, "read log", io::to_text(path_of_(d.highest_at.generation())), d.highest_at.offset(),
       "changes of pages that the database owns, up to " + number(d.pages), "one of page " + number(d.highest_page) + " of " + d.name);
}

}  // namespace contrail::pagestore
