#include "pin.hpp"

#include "engine_state.hpp"

#include <contrail/error.hpp>
#include "source/one_batch.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace contrail::sqlite {

namespace {

constexpr auto no_throw = asio::experimental::as_tuple(asio::use_awaitable);

/// Is this the header of the log whose frames the index counts?
bool names_log(std::string_view bytes, const std::optional<log_floor>& floor) noexcept {
  if (!floor || floor->frames == 0) {
    return true;
  }
  const auto header = parse_wal_header(bytes);
  return header && header->salt1 == floor->salt1 && header->salt2 == floor->salt2;
}

/// The pin's own source for the database's file, lent to a reader: the file must stay open as long as the connection.
class lent_source final : public source {
 public:
  lent_source(std::shared_ptr<pinned> held, std::shared_ptr<copied_file> copied) : held_(std::move(held)), copied_(std::move(copied)) {}

  std::uint64_t bytes() const noexcept override { return held_->body->bytes(); }
  std::size_t trailer_bytes() const noexcept override { return held_->body->trailer_bytes(); }
  std::size_t granularity() const noexcept override { return held_->body->granularity(); }
  [[nodiscard]] asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    return held_->body->read(offset, into);
  }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    if (offset == 0 && chunk.size() >= copied_->header.size()) {
      std::memcpy(copied_->header.data(), chunk.data(), copied_->header.size());
    }
    copied_->bytes = offset + chunk.size();
    return held_->body->fold(offset, chunk);
  }
  [[nodiscard]] asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override { return held_->body->finish(trailer); }

 private:
  std::shared_ptr<pinned> held_;
  std::shared_ptr<copied_file> copied_;
};

}  // namespace

std::shared_ptr<pinned> make_pinned(const std::shared_ptr<engine_core>& core) {
  const auto close_on_worker = [core](pinned* all) {
    std::unique_ptr<pinned> owned(all);
    if (!owned->connection) {
      return;
    }
    core->work.async_run([doomed = std::move(owned)]() noexcept { doomed->connection.reset(); }, [](const std::exception_ptr&) {});
  };
  return {new pinned, close_on_worker};
}

verdict database_format::check(std::uint64_t page, asio::const_buffer bytes) const noexcept {
  if (page != 0) {
    return verdict::good;
  }
  const std::string_view front(static_cast<const char*>(bytes.data()), std::min(bytes.size(), database_header_bytes));
  const auto header = parse_database_header(front);
  return header && header->page_bytes == page_bytes_ ? verdict::good : verdict::bad_checksum;
}

sqlite_pin::sqlite_pin(std::shared_ptr<engine_core> core, begin_request request, place where, io::file_facts facts,
                       std::shared_ptr<pinned> held, std::optional<log_floor> floor)
    : core_(std::move(core)),
      request_(std::move(request)),
      where_(std::move(where)),
      facts_(facts),
      held_(std::move(held)),
      copied_(std::make_shared<copied_file>()),
      log_(std::make_shared<wal_outcome>()),
      coverage_(std::make_shared<page_coverage>(0)) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  at_.unix_nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  if (floor) {
    // A place in the stream of logs: which log, and how far in it.
    at_.position = std::uint64_t{floor->salt1} << 32U | floor->frames;
  }
  log_bytes_at_begin_ = held_->connection->log_bytes();
}

reader& sqlite_pin::connection() const {
  if (!held_) {
    fail(errc::no_backup, "use the pinned database", where_.path.string(), {}, {}, "the backup has ended");
  }
  return *held_->connection;
}

pin_cost sqlite_pin::cost() const noexcept {
  pin_cost out;
  if (held_) {
    const std::uint64_t now = held_->connection->log_bytes();
    out.log_bytes = now > log_bytes_at_begin_ ? now - log_bytes_at_begin_ : 0;
  }
  return out;
}

asio::awaitable<std::vector<database_info>> sqlite_pin::databases() {
  database_info out;
  out.name = where_.path.string();
  out.restore_name = where_.name;
  // A copy of a database is another database: its log is another one.
  out.signature = fmt::format("file {}:{}", where_.identity.device, where_.identity.inode);
  out.pages = connection().pages();
  out.page_bytes = connection().page_bytes();
  std::vector<database_info> list;
  list.push_back(std::move(out));
  co_return list;
}

asio::awaitable<std::unique_ptr<file_list>> sqlite_pin::files(database_id id) {
  std::vector<file_info> list;
  if (id.value == 0) {
    file_info out;
    out.name = where_.name;
    out.role = file_role::database;
    out.bytes = held_ ? held_->body->bytes() : 0;
    out.mode = facts_.mode;
    out.owner = fmt::format("{}:{}", facts_.uid, facts_.gid);
    list.push_back(std::move(out));
  }
  co_return std::make_unique<detail::one_batch>(std::move(list));
}

asio::awaitable<std::optional<log_floor>> sqlite_pin::look() {
  (void)connection();
  auto looking = [held = held_] {
    held->connection->check();
    return held->connection->floor();
  };
  auto looked = co_await core_->work.async_run(std::move(looking), no_throw);
  if (std::get<0>(looked)) {
    try {
      std::rethrow_exception(std::get<0>(looked));
    } catch (const error& problem) {
      if (request_.on_lost && problem.code() == errc::backup_abort_by_server) {
        request_.on_lost(problem.code());
      }
      throw;
    }
  }
  co_return std::get<1>(looked);
}

asio::awaitable<log_cut> sqlite_pin::close_generation() {
  // The bound is taken after the index was read, so that all that it requires is below the bound. A log that is followed "until there is
  // no more" might never end.
  const std::optional<log_floor> floor = co_await look();
  log_bound_ = connection().log_bytes();
  closed_generation_ = true;
  log_generation_ = floor ? floor->salt1 : 0;
  log_cut out;
  out.first_present = log_generation_;
  out.checkpoint = log_generation_;
  out.copy.first = log_generation_;
  out.copy.end = log_generation_ + (log_bound_ != 0 ? 1U : 0U);
  co_return out;
}

asio::awaitable<std::unique_ptr<file_list>> sqlite_pin::logs(log_range) {
  std::vector<file_info> list;
  if (closed_generation_ && log_bound_ != 0) {
    file_info out;
    // Not "-wal": somebody who opens the database within a set with sqlite3 must not have the log played into it.
    out.name = where_.name + ".wal";
    out.role = file_role::log;
    out.bytes = log_bound_;
    out.log = log_generation_;
    list.push_back(std::move(out));
  }
  co_return std::make_unique<detail::one_batch>(std::move(list));
}

asio::awaitable<std::unique_ptr<source>> sqlite_pin::open(const file_info& file) {
  (void)connection();
  if (file.role == file_role::log) {
    auto log = co_await open_log();
    co_return log;
  }
  copied_->bytes = 0;
  co_return std::make_unique<lent_source>(held_, copied_);
}

asio::awaitable<std::unique_ptr<source>> sqlite_pin::open_log() {
  wal_start start;
  start.path = connection().log_path().string();
  start.bound = log_bound_;
  start.page_bytes = connection().page_bytes();
  start.file_pages = copied_->bytes / start.page_bytes;
  io::open_options how;
  how.cache = io::caching::neutral;
  auto opened = co_await core_->files.async_open(connection().log_path(), how, no_throw);
  const std::error_code ec = std::get<0>(opened);
  io::random_access_file file = std::move(std::get<1>(opened));
  if (ec == std::errc::no_such_file_or_directory) {
    fail(errc::source_replaced, "open the write-ahead log", start.path, {}, {}, "it was removed");
  }
  if (ec) {
    fail(ec, "open the write-ahead log", start.path);
  }
  const io::file_facts facts = file.facts();
  const file_identity identity{facts.device, facts.inode};
  if (identity != connection().log_identity()) {
    fail(errc::source_replaced, "open the write-ahead log", start.path, {}, "the log that the backup began with", "another file");
  }
  io::lease scratch = co_await core_->headers.async_acquire(asio::use_awaitable);
  const asio::mutable_buffer front = asio::buffer(scratch.buffer(), wal_header_bytes);
  start.floor = co_await look();
  for (;;) {
    const std::size_t got = co_await read_fully(file, 0, front, start.path);
    start.header.assign(static_cast<const char*>(front.data()), got);
    if (names_log(start.header, start.floor)) {
      break;
    }
    // A log's header is written before the index counts its first frame: either the log was started anew since the index was read,
    // which can happen once under the pin, or the header is damaged.
    const std::optional<log_floor> again = co_await look();
    if (names_log(start.header, again)) {
      start.floor = again;
      break;
    }
    if (again && again->salt1 == start.floor->salt1 && again->salt2 == start.floor->salt2) {
      fail(errc::log_file_corrupt, "open the write-ahead log", start.path, 0,
           fmt::format("a header with salts {:08x} {:08x}, as the shared index has it", again->salt1, again->salt2), "another header");
    }
    start.floor = again;
  }
  *log_ = wal_outcome();
  *coverage_ = page_coverage(start.file_pages);
  co_return std::make_unique<wal_source>(std::move(file), std::move(scratch), std::move(start), log_, coverage_);
}

asio::awaitable<void> sqlite_pin::delete_logs(log_range) {
  // SQLite uses its log again by itself; there is never a file to delete.
  co_return;
}

asio::awaitable<void> sqlite_pin::record(const outcome&) {
  // A SQLite database has no place for such a record.
  co_return;
}

asio::awaitable<std::string> sqlite_pin::state() {
  (void)co_await look();
  if (log_bound_ != 0 && !log_->known) {
    fail(errc::logs_not_copied, "finish the backup", where_.path.string(), {}, {}, "the write-ahead log was not copied to its end");
  }
  engine_state out;
  out.database = where_.name;
  out.log = log_bound_ != 0 ? where_.name + ".wal" : std::string();
  out.page_bytes = connection().page_bytes();
  out.file_pages = copied_->bytes / out.page_bytes;
  out.frames = log_->frames;
  out.salt1 = log_->salt1;
  out.salt2 = log_->salt2;
  out.sums = log_->sums;
  out.pages = log_->pages;
  if (out.frames == 0) {
    const auto header = parse_database_header(std::string_view(copied_->header.data(), copied_->header.size()));
    out.pages = header && header->pages != 0 ? header->pages : out.file_pages;
    *coverage_ = page_coverage(out.file_pages);
  }
  const auto missing = coverage_->first_missing(out.pages, out.page_bytes);
  if (missing) {
    fail(errc::database_corrupted, "finish the backup", where_.path.string(), (*missing - 1) * out.page_bytes,
         fmt::format("{} pages", out.pages), fmt::format("page {} is neither in the file nor in the log: the file was cut", *missing));
  }
  std::string text = out.write();
  co_return text;
}

asio::awaitable<void> sqlite_pin::end(bool committed) {
  if (!held_) {
    co_return;
  }
  auto held = std::move(held_);
  held_.reset();
  auto closing = [held, committed] {
    // Somebody who cancelled does not wait for it.
    if (committed) {
      held->connection->release_and_merge();
    }
    held->connection.reset();
  };
  co_await core_->work.async_run(std::move(closing), asio::use_awaitable);
  // Not left to the last owner: a source that somebody forgot must not keep the next backup away.
  held->body.reset();
  held->slot.reset();
}

}  // namespace contrail::sqlite
