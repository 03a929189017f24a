#include "engines/pagestore/log/log_stream.hpp"

#include "engines/pagestore/clock.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/log/log_files.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace contrail::pagestore {

namespace {

// What the engine itself may still have to say in a generation whose successor cannot be made: a few batches.
std::uint32_t engine_reserve(std::uint32_t unit) noexcept { return unit == sector_bytes ? 16 * sector_bytes : 8 * unit; }

}  // namespace

log_stream::log_stream(io::file_system fs, const parameters& how, asio::any_io_executor strand,
                       std::function<void(std::error_code)> failed)
    : fs_(std::move(fs)), how_(how), unit_(how.log_write_unit), on_failed_(std::move(failed)), tick_(std::move(strand)) {
  header_.page_size = how.page_size;
  header_.file_bytes = how.log_file_size;
}

std::uint32_t log_stream::offset_of(std::size_t payload) const noexcept {
  const std::size_t sector = next_sector_ + payload / sector_payload_bytes;
  return static_cast<std::uint32_t>(sector * sector_bytes + sector_header_bytes + payload % sector_payload_bytes);
}

lgpos log_stream::tip() const noexcept { return make_lgpos(header_.generation, offset_of(pending_.size())); }

bool log_stream::fits(std::size_t bytes, reserve keep) const noexcept {
  if (closing_ || broken_) return false;
  std::uint64_t end = std::uint64_t{next_sector_} * sector_bytes + batch_bytes(pending_.size() + bytes, unit_);
  end += unit_;   // "end of generation"
  if (keep == reserve::engine) end += engine_reserve(unit_);
  return end <= header_.file_bytes;
}

std::size_t log_stream::largest_transaction() const noexcept {
  const std::uint64_t room = header_.file_bytes - log_header_bytes - unit_ - engine_reserve(unit_);
  return static_cast<std::size_t>(room / sector_bytes * sector_payload_bytes - unit_);
}

lgpos log_stream::append(byte_span record) {
  assert(!closing_ && record.size() % 8 == 0);
  const lgpos at = tip();
  seal_record(record, at);
  pending_.insert(pending_.end(), record.begin(), record.end());
  record_bytes += record.size();
  if (pending_.size() >= how_.log_buffer / 2) {
    wanted_ = true;
    tick_.cancel();
  }
  return at;
}

void log_stream::expect_soon() noexcept {
  if (due_) return;
  due_ = asio::steady_timer::clock_type::now() + how_.lazy_delay;
  tick_.cancel();
}

void log_stream::refuse() const {
  const std::string name = io::to_text(current_log_path(how_));
  told_ = broken_ || stopped_by_;
  if (broken_) fail(errc::log_write_fail, "write log", name, {}, {}, broken_.message());
  if (stopped_by_) fail(errc::instance_unavailable, "write log", name, {}, "an instance that runs", "one that has failed: " + stopped_by_.message());
  fail(errc::term_in_progress, "write log", name);
}

asio::awaitable<void> log_stream::settle(lgpos at) {
  while (durable_ < at) {
    if (broken_ || stop_) refuse();
    if (!wanted_) {
      wanted_ = true;
      tick_.cancel();
    }
    co_await written_.wait();
  }
}

void log_stream::stop(bool flush, std::error_code why) noexcept {
  stop_ = true;
  if (!stopped_by_) stopped_by_ = why;
  flush_ = flush;
  tick_.cancel();
  written_.notify();
}

void log_stream::fail_log(std::error_code why) {
  if (broken_) return;
  broken_ = why;
  written_.notify();
  on_failed_(why);
}

// Until there is something to write, or to end.
asio::awaitable<void> log_stream::rest() {
  const auto forever = asio::steady_timer::time_point::max();
  tick_.expires_at(due_ && !pending_.empty() ? *due_ : forever);
  const auto token = asio::experimental::as_tuple(asio::use_awaitable);
  const auto woken = co_await tick_.async_wait(token);
  static_cast<void>(woken);
  if (due_ && asio::steady_timer::clock_type::now() >= *due_) wanted_ = true;
}

void log_stream::pass_over_batch() noexcept {
  next_sector_ += static_cast<std::uint32_t>(batch_bytes(pending_.size(), unit_) / sector_bytes);
  pending_.clear();
  wanted_ = false;
  due_.reset();
  durable_ = tip();
  written_.notify();
}

asio::awaitable<void> log_stream::write_batch() {
  const std::uint64_t at = std::uint64_t{next_sector_} * sector_bytes;
  ++batch_;
  encode_batch(pending_, header_.generation, next_sector_, batch_, unit_, header_.log.random, chain_, sealed_);
  next_sector_ += static_cast<std::uint32_t>(sealed_.size() / sector_bytes);
  pending_.clear();
  wanted_ = false;
  due_.reset();
  const lgpos behind = tip();
  writing_ = true;
  // From aligned memory: past the cache no sector is ever written in part.
  if (aligned_ == nullptr || aligned_->all().size() < sealed_.size()) {
    aligned_ = std::make_unique<page_buffer>(sealed_.size(), direct_alignment);
  }
  std::memcpy(aligned_->all().data(), sealed_.data(), sealed_.size());
  const asio::const_buffer whole(aligned_->all().data(), sealed_.size());
  std::error_code ec;
  try {
    co_await write_whole(file_, at, whole, "write log", name_);
    co_await sync_file(file_, "write log", name_);
  } catch (const std::system_error& e) {
    ec = e.code();
  }
  writing_ = false;
  if (ec) {
    fail_log(ec);
    co_return;
  }
  ++batches;
  durable_ = behind;
  written_.notify();
}

// Those that were answered by the batch before are about to commit again, while the others wait already: without a moment for them each
// sync would be for one half of the writers.
asio::awaitable<void> log_stream::let_others_in() {
  constexpr unsigned most_turns = 256, quiet_turns = 32;
  const auto strand = tick_.get_executor();
  unsigned quiet = 0;
  for (unsigned turns = 0; turns < most_turns && quiet < quiet_turns; ++turns) {
    const std::uint64_t before = record_bytes;
    co_await asio::post(strand, asio::use_awaitable);
    quiet = record_bytes == before ? quiet + 1 : 0;
  }
}

asio::awaitable<void> log_stream::run(std::shared_ptr<log_stream> self) {
  log_stream& log = *self;
  while (!log.broken_) {
    if (log.stop_ && (!log.flush_ || log.pending_.empty())) break;
    const bool due = log.stop_ || log.wanted_;
    if (log.pending_.empty() || !due) {
      if (log.pending_.empty()) log.wanted_ = false;
      co_await log.rest();
      continue;
    }
    if (log.how_.group_delay.count() != 0 && !log.stop_) {
      asio::steady_timer others(log.tick_.get_executor(), log.how_.group_delay);
      const auto token = asio::experimental::as_tuple(asio::use_awaitable);
      const auto passed = co_await others.async_wait(token);
      static_cast<void>(passed);
    }
    if (log.in_memory_) {
      log.pass_over_batch();
      continue;
    }
    co_await log.write_batch();
    if (!log.pending_.empty() && !log.stop_) co_await log.let_others_in();
  }
  log.stop_ = true;
  log.written_.notify();
}

asio::awaitable<void> log_stream::open_current() {
  const std::filesystem::path current = current_log_path(how_);
  io::open_options options;
  options.mode = io::access::read_write;
  options.cache = io::caching::direct;
  calls::opened opened = co_await calls::open(fs_, current, options);
  calls::check(opened.ec, "open log", current);
  const std::uint32_t alignment = opened.file.facts().alignment;
  if (unit_ == 0) unit_ = alignment > sector_bytes ? 4096 : static_cast<std::uint32_t>(sector_bytes);
  if (alignment > unit_) {
    // Set up on another disk: whole units go through the cache, as a sync brings them out all the same.
    options.cache = io::caching::cached;
    opened = co_await calls::open(fs_, current, options);
    calls::check(opened.ec, "open log", current);
  }
  file_ = std::move(opened.file);
  name_ = io::to_text(current);
}

asio::awaitable<void> log_stream::begin(signature log, std::vector<attached_database> attached) {
  const std::filesystem::path prepared = prepared_log_path(how_);
  const std::filesystem::path current = current_log_path(how_);
  std::error_code ec = co_await make_log_file(fs_, prepared, how_.log_file_size);
  if (calls::is_full(ec)) fail(errc::log_disk_full, "make the first log", prepared.string());
  calls::check(ec, "make the first log", prepared);
  header_.log = log;
  header_.generation = how_.first_generation;
  header_.created = now_ns();
  std::copy_n(how_.base_name.begin(), 3, header_.base_name.begin());
  header_.attached = std::move(attached);
  if (unit_ == 0) {
    // As it is asked of the file itself, which does not change with its name.
    io::open_options options;
    options.mode = io::access::read_write;
    options.cache = io::caching::direct;
    const calls::opened probe = co_await calls::open(fs_, prepared, options);
    calls::check(probe.ec, "open log", prepared);
    unit_ = probe.file.facts().alignment > sector_bytes ? 4096 : static_cast<std::uint32_t>(sector_bytes);
  }
  header_.write_unit = unit_;
  io::open_options options;
  options.mode = io::access::read_write;
  calls::opened opened = co_await calls::open(fs_, prepared, options);
  calls::check(opened.ec, "open log", prepared);
  co_await write_log_header(opened.file, header_, prepared.string());
  opened.file.close();
  ec = co_await calls::rename(fs_, prepared, current);
  calls::check(ec, "rename log", prepared);
  ec = co_await calls::sync_directory(fs_, how_.log_directory);
  calls::check(ec, "sync directory", how_.log_directory);
  co_await open_current();
  std::vector<std::byte> block(log_header_bytes);
  encode_log_header(header_, block);
  chain_ = first_chain(block);
  next_sector_ = first_sector;
  batch_ = 0;
  durable_ = tip();
}

asio::awaitable<void> log_stream::resume(const log_tail& tail) {
  header_ = tail.header;
  unit_ = header_.write_unit;
  next_sector_ = tail.end / static_cast<std::uint32_t>(sector_bytes);
  batch_ = tail.batch;
  chain_ = tail.chain;
  if (!tail.closed && !tail.numbered) {
    co_await open_current();
    durable_ = tip();
    co_return;
  }
  co_await require_prepared();
  if (!tail.numbered) {
    const std::filesystem::path current = current_log_path(how_);
    std::error_code ec = co_await calls::rename(fs_, current, numbered_log_path(how_, header_.generation));
    calls::check(ec, "rename log", current);
    ec = co_await calls::sync_directory(fs_, how_.log_directory);
    calls::check(ec, "sync directory", how_.log_directory);
  }
  std::vector<attached_database> none;   // recovery has let go of all; not what was attached when that generation began
  co_await switch_files(std::move(none));
}

asio::awaitable<bool> log_stream::prepare(std::optional<std::uint32_t> recycled) {
  if (prepared() || broken_) co_return false;
  const std::filesystem::path next = prepared_log_path(how_);
  if (recycled) {
    const std::filesystem::path old = numbered_log_path(how_, *recycled);
    bool taken = co_await may_be_used_again(fs_, old, how_.log_file_size, header_.generation + 1, header_.log);
    if (taken) {
      const std::error_code moved = co_await calls::rename(fs_, old, next);
      taken = !moved;
    }
    if (taken) {
      prepare_failure_ = co_await calls::sync_directory(fs_, how_.log_directory);
      prepared_ = !prepare_failure_;
      co_return true;
    }
  }
  prepare_failure_ = co_await make_log_file(fs_, next, how_.log_file_size);
  prepared_ = !prepare_failure_;
  co_return false;
}

// Now, where it was not done ahead. Fails with -529 for a full disk, else with what the system said.
asio::awaitable<void> log_stream::require_prepared() {
  if (prepared_) co_return;
  const bool ignored = co_await prepare(std::nullopt);
  static_cast<void>(ignored);
  if (prepared_) co_return;
  const std::string name = io::to_text(prepared_log_path(how_));
  if (prepare_failure_ && !calls::is_full(prepare_failure_)) fail(prepare_failure_, "make the next log", name);
  fail(errc::log_disk_full, "make the next log", name);
}

// The prepared file gets its header and the name of the current one; steps 2 and 4 of a roll.
asio::awaitable<void> log_stream::switch_files(std::vector<attached_database> attached) {
  const std::filesystem::path next = prepared_log_path(how_);
  const std::filesystem::path current = current_log_path(how_);
  log_header header = header_;
  header.generation = header_.generation + 1;
  header.previous_end = next_sector_ * static_cast<std::uint32_t>(sector_bytes);
  header.previous_created = header_.created;
  header.previous_chain = chain_;
  header.created = std::max(now_ns(), header_.created + 1);
  header.attached = std::move(attached);
  io::open_options options;
  options.mode = io::access::read_write;
  calls::opened opened = co_await calls::open(fs_, next, options);
  calls::check(opened.ec, "open log", next);
  co_await write_log_header(opened.file, header, next.string());
  opened.file.close();
  std::error_code ec = co_await calls::rename(fs_, next, current);
  calls::check(ec, "rename log", next);
  ec = co_await calls::sync_directory(fs_, how_.log_directory);
  calls::check(ec, "sync directory", how_.log_directory);
  prepared_ = false;
  file_.close();
  co_await open_current();
  // In one step: whoever asks for the log's end meanwhile must get a position that there is.
  header_ = std::move(header);
  std::vector<std::byte> block(log_header_bytes);
  encode_log_header(header_, block);
  chain_ = first_chain(block);
  next_sector_ = first_sector;
  batch_ = 0;
  durable_ = tip();
}

asio::awaitable<void> log_stream::roll(std::function<std::vector<attached_database>()> attached) {
  if (broken_ || stop_) refuse();
  if (header_.generation >= last_generation) {
    fail(errc::log_sequence_end, "begin a log generation", current_log_path(how_).string(), {},
         "a generation up to " + std::to_string(last_generation), "the last one; end the instance, remove its logs and checkpoint");
  }
  if (in_memory_) {
    pass_over_batch();
    closing_ = true;
    ++header_.generation;
    next_sector_ = first_sector;
    durable_ = tip();
    co_return;
  }
  co_await require_prepared();
  std::vector<std::byte> last;
  record_builder record(last);
  record.begin_plain(record_type::end_of_generation, now_ns());
  record.finish();
  const lgpos at = append(last);
  closing_ = true;
  std::vector<attached_database> list = attached();
  co_await make_durable(at);
  std::error_code why;
  try {
    const std::filesystem::path current = current_log_path(how_);
    std::error_code ec = co_await calls::rename(fs_, current, numbered_log_path(how_, header_.generation));
    calls::check(ec, "rename log", current);
    // Should the next rename reach the disk alone, this generation would have no name any more.
    ec = co_await calls::sync_directory(fs_, how_.log_directory);
    calls::check(ec, "sync directory", how_.log_directory);
    co_await switch_files(std::move(list));
  } catch (const std::system_error& e) {
    why = e.code();
  }
  if (why) {
    fail_log(why);
    refuse();
  }
}

void log_stream::open_again() noexcept { closing_ = false; }

}  // namespace contrail::pagestore
