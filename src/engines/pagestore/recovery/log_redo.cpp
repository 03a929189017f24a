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

/// Is what the log has at this place for the file as it is now? A copy of a backup comes with logs from before it was attached.
/// Where the header speaks of other logs, nothing follows from its positions.
bool is_for(const recovered_database& d, lgpos at) { return !d.file.is_open() || d.elsewhere || at >= d.file.header().attached; }

}  // namespace

void log_redo::begin() { window_.clear(); }

// What ended before redo begins the checkpoint knows.
void log_redo::end_attachment(std::uint32_t id, end_of_attachment how) {
  if (const auto ended = set_.unbind(id, how)) pages_.forget(*ended);
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
      end_attachment(record->id, counts ? end_of_attachment::apart : end_of_attachment::known);
      if (type == record_type::detach) break;
      attachment begun;
      begun.what.id = record->id;
      begun.what.database = record->database;
      begun.what.dbtime = record->dbtime;
      begun.what.path = record->path;
      begun.record = log.position();
      begun.cleaned = record->cleaned;
      begun.log = record->log;
      set_.bind(std::move(begun));
      break;
    }
    case record_type::shutdown:
    case record_type::recovered:
      co_await apply_window();
      for (std::uint32_t id = 1; id <= most_databases; ++id) end_attachment(id, counts ? end_of_attachment::with_all : end_of_attachment::known);
      break;
    case record_type::backup: {
      const std::optional<backup_event> event = read_backup_event(log.bytes());
      if (!event) unreadable();
      if (!counts || event->phase != backup_phase_update) break;
      const auto database = set_.bound(event->id);
      if (!database || !database->takes_part || database->clean) break;
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
      if (database->other || !is_for(*database, e.at)) continue;
      database->logged = std::max(database->logged, t.dbtime);
      database->last_commit = e.at;
    }
    for (page_change& c : record->changes) {
      const auto& database = set_.bound(c.id);
      if (!database) corrupt("a change of database " + number(c.id) + ", which is not attached there");
      if (!database->takes_part || database->clean || database->other || !is_for(*database, e.at)) continue;
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
