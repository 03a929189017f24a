#include "engines/pagestore/recovery/soft_recovery.hpp"

#include "engines/pagestore/format/bitmap.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/database_set.hpp"
#include "engines/pagestore/recovery/log_redo.hpp"
#include "engines/pagestore/recovery/page_redo.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/buffer.hpp>
#include <asio/this_coro.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

namespace contrail::pagestore {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

class recovery {
 public:
  recovery(io::file_system fs, parameters how, asio::any_io_executor strand) : fs_(fs), how_(std::move(how)), strand_(std::move(strand)) {}

  asio::awaitable<recovery_outcome> run();

 private:
  asio::awaitable<bool> look();
  asio::awaitable<void> prove();
  asio::awaitable<bool> pass(bool first);
  asio::awaitable<bool> read_generation(log_reader& log, bool first);
  asio::awaitable<void> check_end();
  asio::awaitable<void> settle_log();
  asio::awaitable<void> settle_databases();
  void new_set();
  asio::awaitable<bool> start_suffices();

  io::file_system fs_;
  const parameters how_;
  asio::any_io_executor strand_;
  recovery_outcome out_;
  log_run run_;
  log_reach reach_;
  lgpos start_;
  bool at_start_ = false;            // of the records that are redone
  std::unique_ptr<database_set> set_;
  std::shared_ptr<page_redo> redo_;
  std::unique_ptr<log_redo> steps_;
  log_tail tail_;
  std::uint64_t last_batch_begin_ = 0;
  bool torn_ = false;
};

asio::awaitable<bool> recovery::look() {
  const log_listing there = co_await list_logs(fs_, how_);
  out_.checkpoint = co_await read_checkpoint(fs_, how_);
  if (there.empty()) {
    if (there.checkpoint) {
      fail(errc::missing_log_file, "open logs", io::to_text(current_log_path(how_)), {}, "the logs of the checkpoint that is there", "none");
    }
    co_return false;
  }
  std::optional<std::uint32_t> current;
  if (there.current) {
    const std::filesystem::path path = current_log_path(how_);
    const log_reader log = co_await log_reader::open(fs_, path);
    current = log.header().generation;
  }
  run_ = find_run(there, current, how_);
  const std::filesystem::path newest_path = log_path(how_, run_, run_.highest);
  const log_reader newest = co_await log_reader::open(fs_, newest_path);
  newest.expect_generation(run_.highest);
  newest.expect_page_size(how_.page_size);
  if (run_.highest > run_.lowest) {   // which of them is foreign, the checkpoint cannot tell
    const std::filesystem::path before = numbered_log_path(how_, run_.highest - 1);
    const log_reader neighbour = co_await log_reader::open(fs_, before);
    newest.expect_log(neighbour.header().log);
  }
  reach_.log = newest.header().log;
  reach_.page_size = how_.page_size;
  reach_.lowest = run_.lowest;
  reach_.highest = run_.highest;
  start_ = make_lgpos(run_.lowest, 0);
  reach_.checkpoint = out_.checkpoint.in_force;
  if (reach_.checkpoint) {
    const checkpoint_block& c = *reach_.checkpoint;
    if (c.log != reach_.log) {
      fail(errc::bad_checkpoint_signature, "open logs", io::to_text(checkpoint_path(how_)), 32,
           "signature " + number(reach_.log.random) + " of " + number(reach_.log.created) + ", as the logs have",
           number(c.log.random) + " of " + number(c.log.created));
    }
    if (!run_.has(c.redo.generation())) {
      const bool above = c.redo.generation() > run_.highest;
      fail(errc::missing_log_file, "open logs", io::to_text(numbered_log_path(how_, above ? c.redo.generation() : run_.lowest - 1)), {},
           "all generations from that of the checkpoint on, " + number(c.redo.generation()),
           "those from " + number(run_.lowest) + " to " + number(run_.highest));
    }
    start_ = c.redo;
  }
  co_return true;
}

void recovery::new_set() {
  set_ = std::make_unique<database_set>(fs_, how_, reach_);
  page_redo::limits limits;
  limits.page_size = how_.page_size;
  limits.pages = how_.cache_size;
  limits.writes = how_.writes_in_flight;
  redo_ = std::make_shared<page_redo>(strand_, limits);
  const log_run run = run_;
  const parameters how = how_;
  steps_ = std::make_unique<log_redo>(*set_, *redo_, how_.page_size, [how, run](std::uint32_t g) { return log_path(how, run, g); });
}

/// A database may need more than the checkpoint says: an older file that was put back.
asio::awaitable<bool> recovery::start_suffices() {
  const std::optional<lgpos> needed = set_->needed_start();
  if (!needed || *needed >= start_) co_return true;
  start_ = *needed;
  co_return false;
}

asio::awaitable<void> recovery::prove() {
  for (;;) {
    new_set();
    const bool whole = co_await pass(true);
    if (whole) co_return;
  }
}

asio::awaitable<bool> recovery::pass(bool first) {
  steps_->begin();
  at_start_ = false;
  if (first) out_.records = 0;
  std::optional<log_tail> previous;
  for (std::uint32_t g = start_.generation(); g <= run_.highest; ++g) {
    const std::filesystem::path path = log_path(how_, run_, g);
    log_reader log = co_await log_reader::open(fs_, path);
    log.expect_member(reach_.log, g, how_.page_size);
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
    const bool enough = co_await read_generation(log, first);
    if (!enough) co_return false;
    if (g < run_.highest && !log.tail().closed) {
      fail(errc::log_file_corrupt, "read log", log.name(), log.tail().end, "the end of the generation, for generation " + number(g + 1) + " is there",
           "no further batch");
    }
    previous = log.tail();
    last_batch_begin_ = log.last_batch_begin();
    torn_ = log.torn();
  }
  if (!at_start_) {
    at_start_ = true;
    co_await set_->open_bound();
    const bool enough = co_await start_suffices();
    if (!enough) co_return false;
  }
  co_await steps_->finish();
  tail_ = *previous;
  tail_.numbered = !run_.current;
  co_return true;
}

asio::awaitable<bool> recovery::read_generation(log_reader& log, bool first) {
  for (;;) {
    const bool more = co_await log.next();
    if (!more) co_return true;
    if (!at_start_ && log.position() >= start_) {
      at_start_ = true;
      co_await set_->open_bound();
      const bool enough = co_await start_suffices();
      if (!enough) co_return false;
    }
    if (at_start_ && first) ++out_.records;
    const bool commit = log.record().type == record_type::commit;
    if (commit && !at_start_) continue;
    co_await steps_->take(log, at_start_);
    if (commit || !at_start_) continue;
    co_await set_->open_bound();
    const bool enough = co_await start_suffices();
    if (!enough) co_return false;
  }
}

asio::awaitable<void> recovery::check_end() {
  const std::string last = io::to_text(log_path(how_, run_, run_.highest));
  if (!run_.current && !tail_.closed) {
    fail(errc::missing_log_file, "open logs", io::to_text(current_log_path(how_)), {},
         "the current log, for generation " + number(run_.highest) + " does not end", "none");
  }
  if (reach_.checkpoint && reach_.checkpoint->redo > tail_.position()) {
    fail(errc::log_file_corrupt, "read log", last, tail_.end,
         "all of the log before the checkpoint, which is at byte " + number(reach_.checkpoint->redo.offset()), "no further batch");
  }
  for (const auto& d : set_->bound_ones()) {
    // It was free to go: its attachment here had not reached the header, or an earlier recovery had made it clean already.
    if (d->problem && d->elsewhere && (d->logged == 0 ? d->from.record.has_value() : d->logged <= d->dbtime)) continue;
    if (d->problem && !(d->absent && how_.absent == absent_database::skip)) throw error(*d->problem);
    if (d->problem) {
      out_.absent.push_back(d->name);
      continue;
    }
    if (!d->clean) continue;
    // It was all read that has happened to it since.
    const bool whole = d->takes_part && d->from.record && *d->from.record >= start_;
    const std::uint64_t told = std::max(d->logged, d->from.what.dbtime);
    if (d->logged > d->dbtime || (whole && told < d->dbtime)) {
      fail(errc::required_log_files_missing, "recover database", d->name, {}, "a database with the changes up to " + number(told),
           (told > d->dbtime ? "an older file, with those up to " : "another file of it, with those up to ") + number(d->dbtime));
    }
  }
  redo_->require_readable();
  for (const auto& d : set_->bound_ones()) {
    if (d->takes_part && d->highest_page != 0) co_await steps_->check_page_numbers(*d);
  }
}

/// What recovery goes by must be on stable storage before anything is made of it: the process may have ended alone, and the power may fail
/// later.
asio::awaitable<void> recovery::settle_log() {
  const std::filesystem::path path = log_path(how_, run_, run_.highest);
  const std::string name = io::to_text(path);
  io::open_options options;
  options.mode = io::access::read_write;
  calls::opened log = co_await calls::open(fs_, path, options);
  if (log.ec) fail(log.ec, "settle log", name);
  // The last batch once more: when its sync has failed, the system may show it and yet never write it. All before it were synced.
  std::vector<std::byte> batch(tail_.end - last_batch_begin_);
  const asio::mutable_buffer into = asio::buffer(batch);
  const std::size_t there = co_await read_whole(log.file, last_batch_begin_, into, "settle log", name);
  const asio::const_buffer again(batch.data(), there);
  if (there != 0) co_await write_whole(log.file, last_batch_begin_, again, "settle log", name);
  // All of the rest, not what there seems to be of a batch: zeros whose sync has failed are shown, too, and never written. Behind batches that
  // come later, what is left of that one would be taken for damage.
  if (!tail_.closed) co_await write_zeros(log.file, tail_.end, tail_.header.file_bytes, "settle log", name);
  co_await sync_file(log.file, "settle log", name);
  const std::filesystem::path directory = calls::directory_of(path);
  const std::error_code ec = co_await calls::sync_directory(fs_, directory);
  calls::check(ec, "settle log", directory);
}

asio::awaitable<void> recovery::settle_databases() {
  for (const auto& d : set_->bound_ones()) {
    if (d->changed) co_await d->file.stretch(d->pages);
  }
  if (!redo_->complete()) {
    redo_->begin_second_pass();
    set_->begin_again();
    const bool whole = co_await pass(false);
    if (!whole) fail(errc::log_file_corrupt, "read log", io::to_text(log_path(how_, run_, run_.highest)), {}, "the log as it was read before", "another");
  }
  co_await redo_->write_changed();
  const std::vector<std::shared_ptr<recovered_database>> bound = set_->bound_ones();
  std::set<std::filesystem::path> directories;
  for (const auto& d : bound) {
    if (!d->takes_part) continue;
    co_await d->file.sync();
    directories.insert(calls::directory_of(d->file.path()));
  }
  // A file may have been put back under its name a moment ago.
  for (const std::filesystem::path& directory : directories) {
    const std::error_code named = co_await calls::sync_directory(fs_, directory);
    calls::check(named, "recover database", directory);
  }
  const lgpos end = tail_.position();
  for (const auto& d : bound) {
    if (!d->takes_part) continue;
    d->dbtime = std::max(d->dbtime, d->logged);
    if (!d->clean || d->file.half_updated()) {
      recovered_database* const p = d.get();
      const signature log = reach_.log;
      const std::function<void(database_header&)> change = [p, log, end](database_header& h) {
        if (!p->clean) h.cleaned = end;
        h.state = database_state::clean;
        h.log = log;
        h.min_required = h.max_required = h.max_committed = 0;
        h.pages = p->pages;
        h.dbtime = p->dbtime;
        h.backups = p->backups;
      };
      co_await d->file.update(change);
    }
    attached_database entry = d->from.what;
    entry.flags = attached_no_more;
    entry.dbtime = d->dbtime;
    entry.cleaned = d->file.header().cleaned;
    out_.recovered.push_back(std::move(entry));
  }
}

asio::awaitable<recovery_outcome> recovery::run() {
  const bool any = co_await look();
  if (!any) co_return out_;
  co_await prove();
  co_await check_end();
  out_.ran = torn_ || tail_.closed || redo_->applied != 0 || !set_->bound_ones().empty();
  for (const auto& d : set_->bound_ones()) out_.ran = out_.ran || (d->takes_part && !d->clean);
  // From here on files change.
  const std::vector<attached_database> ended = set_->ended();
  co_await settle_log();
  co_await settle_databases();
  out_.let_go = ended;
  out_.tail = tail_;
  out_.start = start_;
  out_.lowest_generation = run_.lowest;
  out_.garbage = run_.garbage;
  out_.changes = redo_->applied;
  out_.pages_read = redo_->pages_read;
  out_.pages_written = redo_->pages_written;
  out_.pages_repaired = redo_->pages_repaired;
  co_return out_;
}

}  // namespace

asio::awaitable<recovery_outcome> soft_recovery(io::file_system fs, parameters how) {
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  recovery work(fs, std::move(how), strand);
  recovery_outcome out = co_await work.run();
  co_return out;
}

}  // namespace contrail::pagestore
