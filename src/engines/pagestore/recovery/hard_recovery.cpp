#include "engines/pagestore/recovery/hard_recovery.hpp"

#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/trailer.hpp"
#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/database_set.hpp"
#include "engines/pagestore/recovery/log_redo.hpp"
#include "engines/pagestore/recovery/page_redo.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/this_coro.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace contrail::pagestore {

namespace {

constexpr const char* operation = "recover the copy";
constexpr std::uint64_t least_pages = 16;
constexpr std::size_t beside_page = 160;   // what a page in memory needs for itself: its entry, and the allocator's
constexpr std::size_t least_window = std::size_t{64} << 10U;

std::string number(std::uint64_t value) { return std::to_string(value); }

class hard {
 public:
  hard(io::file_system fs, copied_set what, asio::any_io_executor strand) : fs_(std::move(fs)), what_(std::move(what)), strand_(std::move(strand)) {}
  asio::awaitable<hard_outcome> run();

 private:
  std::filesystem::path log_path(std::uint32_t generation) const { return what_.logs / log_name(what_.base_name, generation); }
  asio::awaitable<log_reader> open_log(std::uint32_t generation);
  asio::awaitable<void> check_logs();
  asio::awaitable<void> open_databases();
  asio::awaitable<void> check_trailer(recovered_database& d);
  asio::awaitable<void> take_on();
  asio::awaitable<void> pass();
  asio::awaitable<void> read_logs();
  asio::awaitable<void> check_pages();
  asio::awaitable<void> finish();

  io::file_system fs_;
  const copied_set what_;
  asio::any_io_executor strand_;
  std::vector<std::shared_ptr<recovered_database>> members_;
  std::unique_ptr<database_set> set_;
  std::shared_ptr<page_redo> redo_;
  std::unique_ptr<log_redo> steps_;
  hard_outcome out_;
  lgpos end_;
};

asio::awaitable<log_reader> hard::open_log(std::uint32_t generation) {
  const std::filesystem::path path = log_path(generation);
  log_reader log;
  try {
    log = co_await log_reader::open(fs_, path);
  } catch (const error& e) {
    if (e.code() != errc::missing_log_file) throw;
    fail(errc::missing_restore_log_files, operation, io::to_text(path), {}, "generations " + number(what_.low) + " to " + number(what_.high),
         "no such file");
  }
  log.expect_member(what_.log, generation, what_.page_size);
  co_return log;
}

// Headers alone: whether all are there, before anything is changed.
asio::awaitable<void> hard::check_logs() {
  for (std::uint32_t g = what_.low; g <= what_.high; ++g) {
    const log_reader log = co_await open_log(g);
    static_cast<void>(log);
  }
}

asio::awaitable<void> hard::open_databases() {
  for (const copied_set::member& m : what_.databases) {
    auto d = std::make_shared<recovered_database>();
    d->name = io::to_text(m.path);
    d->file = co_await database_file::open(fs_, m.path, what_.page_size);
    d->from.what.database = m.database;
    d->takes_part = true;
    for (const auto& other : members_) {
      if (other->from.what.database == m.database) {
        fail(errc::database_patch_file_mismatch, operation, d->name, {}, "databases that can be told apart", "another copy of " + other->name);
      }
    }
    d->dbtime = d->file.header().dbtime;
    d->pages = d->file.header().pages;
    co_await check_trailer(*d);
    if (d->pages != m.pages) {
      fail(errc::database_patch_file_mismatch, operation, d->name, {}, number(m.pages) + " pages, as the set says", number(d->pages));
    }
    members_.push_back(std::move(d));
  }
}

asio::awaitable<void> hard::check_trailer(recovered_database& d) {
  const database_header& h = d.file.header();
  const backup_record& copy = h.backups[full_current];
  if (copy.low == 0) fail(errc::restore_of_non_backup_database, operation, d.name, {}, "a copy from a backup", "a database that is none");
  const auto mismatch = [&](const std::string& expected, const std::string& found) {
    fail(errc::database_patch_file_mismatch, operation, d.name, {}, expected, found);
  };
  if (h.database != d.from.what.database) mismatch("the database that the set names", "another one");
  if (h.log != what_.log) mismatch("a copy that belongs to these logs", "one of other logs");
  if (copy.mark != what_.mark) mismatch("a copy of this backup", "one of another backup");
  if (copy.low < what_.low) {
    fail(errc::starting_restore_log_too_high, operation, d.name, {}, "logs from generation " + number(copy.low) + " on",
         "generation " + number(what_.low) + " is the first");
  }
  if (copy.high != 0) fail(errc::bad_patch_page, operation, d.name, {}, "a copy as the backup made it", "one whose recovery was begun; take it from the set again");
  const std::uint64_t bytes = co_await d.file.bytes();
  const std::uint64_t at = page_offset(h.pages + 1, what_.page_size);
  if (h.pages == 0 || h.pages >= largest_page_no || bytes != at + what_.page_size) {
    fail(errc::bad_patch_page, operation, d.name, at, number(h.pages) + " pages and a trailer", number(bytes) + " bytes");
  }
  page_buffer page(what_.page_size);
  const asio::mutable_buffer into(page.all().data(), page.all().size());
  co_await d.file.read(h.pages + 1, into);
  const std::optional<database_trailer> trailer = decode_trailer(page.all());
  if (!trailer) fail(errc::bad_patch_page, operation, d.name, at, "a trailer page", "something else, or a damaged one");
  if (trailer->database != h.database || trailer->log != h.log || trailer->mark != copy.mark || trailer->low != copy.low || trailer->pages != h.pages) {
    mismatch("a trailer of this copy", "that of another one");
  }
  if (trailer->high > what_.high) {
    fail(errc::ending_restore_log_too_low, operation, d.name, {}, "logs up to generation " + number(trailer->high),
         "generation " + number(what_.high) + " is the last");
  }
}

// From here on the trailer is not looked for any more.
asio::awaitable<void> hard::take_on() {
  for (const auto& d : members_) {
    const std::uint32_t high = what_.high;
    const std::function<void(database_header&)> change = [high](database_header& h) {
      h.backups[full_current].high = high;
      h.max_required = high;
      h.max_committed = high;
    };
    co_await d->file.update(change);
    co_await d->file.cut(d->pages);
  }
}

asio::awaitable<void> hard::pass() {
  steps_->begin();
  out_.records = 0;
  std::optional<log_tail> previous;
  for (std::uint32_t g = what_.low; g <= what_.high; ++g) {
    log_reader log = co_await open_log(g);
    if (previous) {
      log.expect_after(*previous);
    } else {
      for (const attached_database& a : log.header().attached) {
        attachment listed;
        listed.what = a;
        listed.listed = make_lgpos(g, 0);
        set_->bind(std::move(listed));
      }
    }
    co_await set_->open_bound();
    while (true) {
      const bool more = co_await log.next();
      if (!more) break;
      ++out_.records;
      const bool commit = log.record().type == record_type::commit;
      co_await steps_->take(log, true);
      if (!commit) co_await set_->open_bound();
    }
    if (!log.tail().closed) {
      fail(errc::redo_abrupt_ended, operation, log.name(), log.tail().end, "the end of the generation", "no further batch");
    }
    previous = log.tail();
  }
  co_await steps_->finish();
  end_ = previous->position();
}

// Damage in a log that the set needs has a code of its own.
asio::awaitable<void> hard::read_logs() {
  std::optional<error> damage;
  try {
    co_await pass();
  } catch (const error& e) {
    if (e.code() != errc::log_file_corrupt) throw;
    damage = e;
  }
  if (damage) throw error(make_error_code(errc::log_corrupt_during_hard_restore), damage->details());
}

asio::awaitable<void> hard::check_pages() {
  for (const auto& d : members_) {
    if (d->problem) throw error(*d->problem);
    if (d->other) {
      fail(errc::database_patch_file_mismatch, operation, d->name, {}, "logs that go on with this copy",
           "another copy of it was attached there when they end; take a full backup");
    }
  }
  redo_->require_readable();
  for (const auto& d : members_) {
    if (!d->met || !d->takes_part) {
      fail(errc::database_patch_file_mismatch, operation, d->name, {}, "a database that these logs have attached", "one that they do not know");
    }
    if (d->highest_page != 0) co_await steps_->check_page_numbers(*d);
  }
}

asio::awaitable<void> hard::finish() {
  for (const auto& d : members_) co_await d->file.stretch(d->pages);
  if (!redo_->complete()) {
    redo_->begin_second_pass();
    set_->begin_again();
    co_await read_logs();
  }
  co_await redo_->write_changed();
  for (const auto& d : members_) {
    co_await d->file.sync();
    const std::uint64_t dbtime = std::max(d->dbtime, d->logged);
    const lgpos end = end_;
    const std::uint32_t pages = d->pages;
    const std::function<void(database_header&)> change = [=](database_header& h) {
      h.state = database_state::clean;
      h.log = signature();   // it is no part of the store's history any more that it was copied from
      h.min_required = h.max_required = h.max_committed = 0;
      h.pages = pages;
      h.dbtime = dbtime;
      h.cleaned = end;
      h.backups = {};   // the next backup must be a full one
    };
    co_await d->file.update(change);
    d->file.close();
  }
}

asio::awaitable<hard_outcome> hard::run() {
  co_await check_logs();
  co_await open_databases();
  co_await take_on();
  set_ = std::make_unique<database_set>(members_);
  page_redo::limits limits;
  limits.page_size = what_.page_size;
  // The rest is for the table of changed pages, and for the log that is being read.
  limits.pages = std::max<std::uint64_t>(least_pages, what_.memory / 2 / (what_.page_size + beside_page));
  redo_ = std::make_shared<page_redo>(strand_, limits);
  steps_ = std::make_unique<log_redo>(*set_, *redo_, what_.page_size, [this](std::uint32_t g) { return log_path(g); },
                                      std::clamp(what_.memory / 16, least_window, record_window::usual_bytes));
  co_await read_logs();
  co_await check_pages();
  co_await finish();
  out_.changes = redo_->applied;
  out_.pages_read = redo_->pages_read;
  out_.pages_written = redo_->pages_written;
  out_.pages_repaired = redo_->pages_repaired;
  co_return out_;
}

}  // namespace

asio::awaitable<hard_outcome> hard_recovery(io::file_system fs, copied_set what) {
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  hard work(std::move(fs), std::move(what), strand);
  const hard_outcome out = co_await work.run();
  co_return out;
}

}  // namespace contrail::pagestore
