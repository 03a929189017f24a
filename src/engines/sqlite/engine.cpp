#include <contrail/engines/sqlite.hpp>

#include "blocking.hpp"
#include "lock_bytes.hpp"
#include "pin.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

namespace contrail {

namespace {

constexpr auto no_throw = asio::experimental::as_tuple(asio::use_awaitable);

engine_traits make_traits(const sqlite_functions& sql) {
  engine_traits out;
  out.name = "sqlite";
  out.version = sql.libversion();
  out.logs = true;
  return out;
}

/// The lock beside the database, for as long as anybody owns the claim. Removed with it: it is nothing else.
struct claim_state {
  explicit claim_state(std::shared_ptr<const sqlite::place> where) : at(std::move(where)) {}
  claim_state(const claim_state&) = delete;
  claim_state& operator=(const claim_state&) = delete;
  ~claim_state() {
    if (lock) {
      lock.remove_and_release();
    }
  }
  std::shared_ptr<const sqlite::place> at;   ///< goes after the lock
  io::held_lock lock;
};

struct pinned_connection {
  pinned_connection() = default;
  std::unique_ptr<sqlite::reader> connection;
  std::optional<sqlite::log_floor> floor;
};

/// Compiled for several threads, and not told otherwise when it was started (SQLITE_CONFIG_SINGLETHREAD): its mutexes are real ones.
bool allows_threads(const sqlite_functions& sql) {
  if (sql.threadsafe() == 0) {
    return false;
  }
  sqlite3_mutex* const one = sql.mutex_alloc(SQLITE_MUTEX_FAST);
  sqlite3_mutex* const other = sql.mutex_alloc(SQLITE_MUTEX_FAST);
  const bool real = one != nullptr && one != other;
  sql.mutex_free(one);
  sql.mutex_free(other);
  return real;
}

/// Asks the application's connection, on the application's thread.
std::filesystem::path file_of(sqlite3* connection, const sqlite_functions& sql) {
  const char* const name = connection != nullptr ? sql.db_filename(connection, "main") : nullptr;
  if (name == nullptr || *name == '\0') {
    fail(errc::invalid_parameter, "attach to the application's database", {}, {}, "a connection to a database in a file",
         connection == nullptr ? "no connection" : "a temporary database or one in memory");
  }
  if (!allows_threads(sql)) {
    fail(errc::invalid_parameter, "attach to the application's database", name, {}, "a SQLite that allows several threads",
         "one that was compiled with SQLITE_THREADSAFE=0 or configured with SQLITE_CONFIG_SINGLETHREAD");
  }
  return io::to_path(name);
}

sqlite::access_way way_of(const std::filesystem::path& file, sqlite3* connection, const sqlite_functions& sql) {
  sqlite::access_way out;
  // A connection to another file, by this name, would share the application's log and bring both to ruin.
  bool moved = false;
  const auto facts = sqlite::look_at(file);
  if (!facts || sqlite::has_moved(sql, connection, file, moved) != SQLITE_OK || moved) {
    fail(errc::source_replaced, "attach to the application's database", file.string(), {}, "the file that the application has open",
         facts ? "another file of that name" : "no file of that name");
  }
  out.identity = facts->identity;
  out.sql = sql;
  out.in_process = true;
  sqlite3_vfs* vfs = nullptr;
  if (sql.file_control(connection, "main", SQLITE_FCNTL_VFS_POINTER, static_cast<void*>(&vfs)) == SQLITE_OK && vfs != nullptr &&
      vfs->zName != nullptr) {
    out.vfs = vfs->zName;
  }
  return out;
}

sqlite::place look_from(const sqlite::engine_core& core) {
  if (!core.way.in_process) {
    return sqlite::examine(core.database);
  }
  sqlite::place out = sqlite::examine_open(core.database);
  if (out.identity != core.way.identity) {
    fail(errc::source_replaced, "claim the database", core.database.string(), {}, "the file that the application has open",
         "another file of that name");
  }
  return out;
}

/// What SQLite reads through a VFS of the application's need not be what stands in the file.
asio::awaitable<void> require_plain_file(std::shared_ptr<sqlite::engine_core> core, io::random_access_file& file) {
  io::lease scratch = co_await core->headers.async_acquire(asio::use_awaitable);
  const asio::mutable_buffer front = asio::buffer(scratch.buffer(), sqlite::database_header_bytes);
  const std::size_t got = co_await sqlite::read_fully(file, 0, front, core->database.string());
  if (got == 0) {
    fail(errc::database_corrupted, "open the database", core->database.string(), 0, "a SQLite database",
         "the file is empty: no database has been written to it yet");
  }
  if (!sqlite::parse_database_header(std::string_view(static_cast<const char*>(front.data()), got))) {
    fail(errc::database_corrupted, "open the database", core->database.string(), 0, "the header of a SQLite 3 database",
         "something else: the database is encrypted, or its VFS " + core->way.vfs + " keeps it in a form of its own");
  }
}

}  // namespace

struct sqlite_engine::impl {
  impl(io::file_system files, std::filesystem::path database, sqlite::access_way way, sqlite_options options)
      : core(std::make_shared<sqlite::engine_core>(std::move(files), std::move(database), std::move(way), options)),
        traits(make_traits(core->way.sql)) {}
  impl(io::file_system files, sqlite3* connection, const sqlite_functions& sql, sqlite_options options)
      : impl(std::move(files), file_of(connection, sql), connection, sql, options) {}
  impl(io::file_system files, const std::filesystem::path& file, sqlite3* connection, const sqlite_functions& sql, sqlite_options options)
      : impl(std::move(files), file, way_of(file, connection, sql), options) {}
  std::shared_ptr<sqlite::engine_core> core;
  engine_traits traits;
};

sqlite_engine::sqlite_engine(asio::any_io_executor ex, std::filesystem::path database, sqlite_options options)
    : sqlite_engine(io::file_system::of(std::move(ex)), std::move(database), options) {}

sqlite_engine::sqlite_engine(io::file_system files, std::filesystem::path database, sqlite_options options)
    : impl_(std::make_shared<impl>(std::move(files), std::move(database), sqlite::access_way(), options)) {}

sqlite_engine::sqlite_engine(asio::any_io_executor ex, sqlite3* connection, const sqlite_functions& sqlite, sqlite_options options)
    : sqlite_engine(io::file_system::of(std::move(ex)), connection, sqlite, options) {}

sqlite_engine::sqlite_engine(io::file_system files, sqlite3* connection, const sqlite_functions& sqlite, sqlite_options options)
    : impl_(std::make_shared<impl>(std::move(files), connection, sqlite, options)) {}

sqlite_engine::~sqlite_engine() = default;

asio::any_io_executor sqlite_engine::get_executor() const noexcept { return impl_->core->files.get_executor(); }

const engine_traits& sqlite_engine::traits() const noexcept { return impl_->traits; }

std::error_code sqlite_engine::status() const noexcept {
  return impl_->core->closed.load() ? make_error_code(errc::term_in_progress) : std::error_code();
}

asio::awaitable<std::shared_ptr<void>> sqlite_engine::claim() {
  const auto core = impl_->core;
  auto looking = [core] { return std::make_shared<const sqlite::place>(look_from(*core)); };
  std::shared_ptr<const sqlite::place> where = co_await core->work.async_run(std::move(looking), asio::use_awaitable);
  auto out = std::make_shared<claim_state>(where);
  std::filesystem::path lock_path = where->path;
  lock_path += ".contrail-lock";
  auto locked = co_await core->files.async_lock(lock_path, no_throw);
  const std::error_code ec = std::get<0>(locked);
  if (ec == std::errc::resource_unavailable_try_again) {
    fail(errc::backup_in_progress, "claim the database", core->database.string(), {}, {},
         "another backup of it runs (" + lock_path.filename().string() + " is held)");
  }
  if (ec == std::errc::operation_canceled) {
    throw std::system_error(ec);
  }
  if (ec) {
    sqlite::fail_by_code(ec, "create the lock " + lock_path.filename().string(), core->database);
  }
  out->lock = std::move(std::get<1>(locked));
  const std::lock_guard guard(core->guard);
  core->claimed = where;
  co_return out;
}

asio::awaitable<std::unique_ptr<pin>> sqlite_engine::begin(begin_request request) {
  const auto core = impl_->core;
  if (is_chained(request.what)) {
    fail(errc::invalid_backup, "begin the backup", core->database.string(), {}, "a full backup or a copy",
         std::string(to_string(request.what)) +
             ": SQLite keeps no log between two backups from which one could be made; take a full backup instead");
  }
  std::shared_ptr<const sqlite::place> where;
  {
    const std::lock_guard guard(core->guard);
    where = core->claimed.lock();
  }
  if (!where) {
    auto looking = [core] { return std::make_shared<const sqlite::place>(look_from(*core)); };
    where = co_await core->work.async_run(std::move(looking), asio::use_awaitable);
  }

  auto held = sqlite::make_pinned(core);
  held->slot = where->slot;
  // The file is opened before the connection, and closed after it (see `pinned`).
  io::open_options how;
  how.cache = io::caching::neutral;
  how.lock_neutral = core->way.in_process;
  auto opened = co_await core->files.async_open(where->path, how, no_throw);
  const std::error_code ec = std::get<0>(opened);
  if (ec == std::errc::operation_canceled) {
    throw std::system_error(ec);
  }
  if (ec) {
    sqlite::fail_by_code(ec, "open the database", core->database);
  }
  held->file = std::move(std::get<1>(opened));
  const io::file_facts facts = held->file.facts();
  const sqlite::file_identity identity{facts.device, facts.inode};
  if (identity != where->identity) {
    fail(errc::source_replaced, "open the database", core->database.string(), {}, "the file that was claimed", "another file");
  }

  if (core->way.in_process) {
    co_await require_plain_file(core, held->file);
  }

  auto stop = std::make_shared<std::atomic<bool>>(false);
  auto pinning = [core, where, stop] {
    pinned_connection out;
    out.connection = std::make_unique<sqlite::reader>(*where, core->way, core->options.busy_timeout, stop);
    out.floor = out.connection->floor();
    return out;
  };
  auto first = co_await sqlite::run_abortable(core->work, core->files.get_executor(), stop, std::move(pinning));
  held->connection = std::move(first.connection);

  // The length is taken under the pin: what the file had grown to by then need not be in the log any more; later growth comes from the
  // log. A tail that is no whole page was left by an interrupted write; its page is in the log.
  const std::uint32_t page_bytes = held->connection->page_bytes();
  const std::uint64_t bytes = co_await held->file.async_size(asio::use_awaitable);
  held->format = std::make_unique<sqlite::database_format>(page_bytes);
  read_policy policy = request.reads;
  policy.hold = hold_policy::never;
  held->body = make_page_source(std::move(held->file), where->path.string(), bytes / page_bytes * page_bytes, *held->format, nullptr, policy,
                                request.counters);
  if (sqlite::lock_bytes_block_reading()) {
    held->body = sqlite::around_lock_bytes(std::move(held->body));
  }
  co_return std::make_unique<sqlite::sqlite_pin>(core, std::move(request), *where, facts, std::move(held), first.floor);
}

asio::awaitable<void> sqlite_engine::close() {
  impl_->core->closed.store(true);
  co_await join_sessions();
}

}  // namespace contrail
