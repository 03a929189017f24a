#include "sinks/directory/set_writer.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "sinks/directory/layout.hpp"
#include "sinks/directory/parents.hpp"

#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace contrail::directory {

namespace {

// Small files find their room or not when they are written.
constexpr std::uint64_t worth_allocating = std::uint64_t{1} << 20;
// The commit lock is held for the sync of a manifest and two directories; a disk that is busy may take long for that.
constexpr std::chrono::milliseconds lock_pause{20};
// For the names of directories, where capital and small letters are not told apart.
constexpr std::size_t most_names_memory = std::size_t{16} << 20;
constexpr int lock_tries = 3000;   // a minute: another commit that stands still must not hold a database's log for ever

// Leaves no file behind, whatever comes of the commit.
class commit_turn {
 public:
  explicit commit_turn(io::held_lock lock) noexcept : lock_(std::move(lock)) {}
  ~commit_turn() { lock_.remove_and_release(); }
  commit_turn(const commit_turn&) = delete;
  commit_turn& operator=(const commit_turn&) = delete;

 private:
  io::held_lock lock_;
};

}  // namespace

struct set_writer::open_file {
  open_file() = default;
  file_info info;
  std::filesystem::path stored;
  std::unique_ptr<write_behind> out;
  std::uint64_t allocated = 0;
  std::uint64_t written = 0;
};

asio::awaitable<void> clear_site(io::file_system fs, building_site& site) {
  const std::filesystem::path partial = partial_path(site.repository, site.set);
  if (site.keep) {
    site.lock.release();
    co_return;
  }
  const std::error_code cleared = co_await calls::remove_all(fs, partial);
  // What could not be removed stays with a free lock: the next backup sweeps it.
  if (cleared) {
    site.lock.release();
  } else {
    site.lock.remove_and_release();
  }
  if (site.made_repository) {
    // Fails when another backup has begun in it meanwhile, which is right.
    const std::error_code ignored = co_await calls::remove(fs, site.repository);
    (void)ignored;
  }
}

set_writer::set_writer(io::file_system fs, building_site site, std::shared_ptr<const manifest> parent)
    : fs_(std::move(fs)),
      site_(std::move(site)),
      parent_(std::move(parent)),
      partial_(partial_path(site_.repository, site_.set)),
      operation_("write set " + site_.set),
      texts_(fs_.get_executor(), 2, text_buffer_bytes),
      list_(fs_, partial_, texts_, operation_),
      names_(storable_names::rules_of(fs_), most_names_memory) {
  names_.add(manifest_name, operation_);
  names_.add(list_name, operation_);
}

set_writer::~set_writer() = default;

void set_writer::require_usable(std::string_view what) const {
  if (failure_) std::rethrow_exception(failure_);
  if (ended_) fail(errc::invalid_backup_sequence, operation_, {}, {}, "a set that is being written", std::string(what) + " after its end");
}

set_writer::open_file& set_writer::find(file_id file) {
  const auto at = files_.find(file.value);
  if (at == files_.end()) fail(errc::invalid_parameter, operation_, {}, {}, "an open file", "number " + std::to_string(file.value));
  return at->second;
}

asio::awaitable<file_id> set_writer::open(const file_info& file) {
  require_usable("open");
  try {
    const file_id id = co_await start_file(file);
    co_return id;
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

asio::awaitable<file_id> set_writer::start_file(file_info file) {
  if (!is_safe_name(file.name)) fail(errc::unsafe_path, operation_, file.name);
  if (file.role == file_role::directory || file.role == file_role::link || file.unchanged) {
    fail(errc::invalid_parameter, operation_, file.name, {}, "a file with its bytes", "a directory, a link or a reference to another set");
  }
  const std::string stored = stored_name(file);
  // Two files of one name do not meet: a file is never written over another.
  names_.require_apart(stored, operation_);
  open_file f;
  f.stored = partial_ / io::to_path(stored);
  co_await calls::make_parents(fs_, partial_, file.name, operation_, nullptr);
  io::open_options options;
  options.mode = io::access::write;
  options.cache = io::caching::direct;
  options.create = true;
  options.exclusive = true;
  calls::opened opened = co_await calls::open(fs_, f.stored, options);
  calls::check(opened.ec, operation_, f.stored);
  f.out = std::make_unique<write_behind>(std::move(opened.file), operation_, f.stored.string());
  if (file.bytes >= worth_allocating) {
    // A full disk is better found now than after an hour. Other failures say nothing about the writes to come.
    const std::error_code ec = co_await calls::allocate(f.out->file(), file.bytes);
    if (calls::is_full(ec)) fail(ec, operation_, f.stored.string(), 0, "room for " + std::to_string(file.bytes) + " bytes");
    f.allocated = file.bytes;
  }
  f.info = std::move(file);
  file_id id;
  id.value = ++last_file_;
  files_.emplace(id.value, std::move(f));
  co_return id;
}

asio::awaitable<void> set_writer::write(file_id file, std::uint64_t offset, io::lease data, std::size_t bytes) {
  require_usable("write");
  try {
    open_file& f = find(file);
    if (offset != f.written) {
      fail(errc::invalid_parameter, operation_, f.info.name, offset, "offset " + std::to_string(f.written));
    }
    f.out->write(offset, std::move(data), bytes);
    f.written += bytes;
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
  co_return;
}

asio::awaitable<void> set_writer::close(file_id file, const file_end& end) {
  require_usable("close");
  try {
    co_await finish_file(file, end);
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

asio::awaitable<void> set_writer::finish_file(file_id id, file_end end) {
  open_file& f = find(id);
  if (end.bytes != f.written) {
    fail(errc::invalid_parameter, operation_, f.info.name, f.written, std::to_string(end.bytes) + " bytes");
  }
  co_await f.out->drain();
  io::random_access_file& file = f.out->file();
  if (f.allocated > f.written) {
    const std::error_code ec = co_await calls::resize(file, f.written);
    calls::check(ec, operation_, f.stored);
  }
  const std::pair<std::error_code, std::uint64_t> length = co_await calls::size(file);
  calls::check(length.first, operation_, f.stored);
  if (length.second != f.written) {
    fail(errc::disk_io, operation_, f.stored.string(), {}, std::to_string(f.written) + " bytes", std::to_string(length.second));
  }
  const std::error_code synced = co_await calls::sync(file);
  calls::check(synced, "sync set " + site_.set, f.stored);
  // Now, not when the last one who looks at it is gone: not every system renames a directory with an open file in it.
  file.close();

  manifest_file line;
  line.file = f.info;
  line.bytes = end.bytes;
  line.valid = end.valid;
  line.digest = end.digest;
  files_.erase(id.value);
  co_await list_.add(id, line);
  durable_.file.value = id.value + 1;
}

asio::awaitable<void> set_writer::drop(file_id file, std::error_code) {
  require_usable("drop");
  try {
    co_await drop_file(file);
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

asio::awaitable<void> set_writer::drop_file(file_id id) {
  if (list_.drop(id)) co_return;
  open_file& f = find(id);
  co_await f.out->settle();
  f.out->file().close();
  const std::string stored = stored_name(f.info);
  files_.erase(id.value);
  co_await remove_stored(fs_, partial_, stored, operation_);
}

// Numbers of sets must differ also when two backups commit at the same moment; whoever holds this lock reads the highest and publishes
// the next. It is held for a short time only, so waiting is asking again.
asio::awaitable<io::held_lock> set_writer::lock_commits() {
  const auto ex = co_await asio::this_coro::executor;
  const std::filesystem::path path = site_.repository / commit_lock_name;
  asio::steady_timer timer(ex);
  for (int i = 0; i < lock_tries; ++i) {
    calls::locked attempt = co_await calls::lock(fs_, path);
    if (!attempt.ec) co_return std::move(attempt.lock);
    if (!calls::is_held(attempt.ec)) calls::check(attempt.ec, "commit set " + site_.set, path);
    timer.expires_after(lock_pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
  fail(std::make_error_code(std::errc::timed_out), "commit set " + site_.set, path.string(), {}, "the lock",
       "another commit that does not come to its end");
}

// At least the number of sets, so that one whose manifest cannot be read does not see its number given away. `behind`: the parent's.
asio::awaitable<std::uint64_t> set_writer::next_sequence(std::uint64_t behind) {
  const std::string operation = "commit set " + site_.set;
  const content all = co_await scan(fs_, site_.repository, operation);
  std::uint64_t highest = std::max<std::uint64_t>(all.sets.size(), behind);
  std::string last;
  for (const std::string& set : all.sets) {
    try {
      const manifest m = co_await read_manifest(fs_, texts_, site_.repository, set, operation);
      if (m.sequence > highest) {
        highest = m.sequence;
        last = set;
      }
    } catch (const error& e) {
      // Damaged, or of a newer version: its number is not known, and it is not touched.
      if (calls::is_cancelled(e.code())) throw;
    }
  }
  if (highest == std::numeric_limits<std::uint64_t>::max()) {
    fail(errc::set_damaged, operation, last, {}, "a number that leaves room for the next set", std::to_string(highest) + ": move that set away");
  }
  co_return highest + 1;
}

asio::awaitable<void> set_writer::prepare(manifest& info) {
  info.set = site_.set;
  info.files = list_.files();
  info.bytes = list_.bytes();
  info.root_digest = list_.digest_text();
  if (info.created_unix_ns == 0) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    info.created_unix_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }
  std::uint64_t behind = 0;
  if (parent_ != nullptr) behind = parent_->sequence;
  info.sequence = co_await next_sequence(behind);
  const std::string text = info.write();
  const manifest again = manifest::read(text, manifest_name);
  (void)again;
  co_await write_text(fs_, texts_, partial_ / manifest_name, text, "commit set " + site_.set);
  co_await calls::sync_tree(fs_, partial_, "sync set " + site_.set);
}

// The set becomes visible and durable. Not to be interrupted: a cancellation that comes now finds the set there.
asio::awaitable<void> set_writer::publish() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const std::filesystem::path final_path = site_.repository / site_.set;
  const std::string syncing = "sync repository";
  // The name of the repository first. Also of one that was there: nobody knows whether it outlives a crash, perhaps another backup made it
  // a moment ago. Where we may not look at the directory above, it is not ours to keep.
  const std::filesystem::path above = calls::directory_of(site_.repository);
  const std::error_code named = co_await calls::sync_directory(fs_, site_.repository / "..");
  const bool forbidden = named == std::errc::permission_denied || named == std::errc::operation_not_permitted;
  if (site_.made_repository || !forbidden) calls::check(named, syncing, above);
  const std::error_code renamed = co_await calls::rename_new(fs_, partial_, final_path);
  if (calls::is_taken(renamed)) fail(errc::set_exists, "commit set " + site_.set, final_path.string());
  calls::check(renamed, "commit set " + site_.set, final_path);
  const std::error_code ec = co_await calls::sync_directory(fs_, site_.repository);
  if (!ec) co_return;
  // Visible, but a crash may take it away again: that is no backup. It is hidden again and goes with the abort; but not its content before
  // its name, or a crash would leave a set that is damaged.
  std::string advice = "the set was discarded";
  site_.keep = true;   // also when the renaming fails: it may have been done
  const std::error_code hidden = co_await calls::rename_new(fs_, final_path, partial_);
  if (hidden) {
    advice = "the set is in its place, but may not survive a crash of the system: do not rely on it";
  } else {
    const std::error_code again = co_await calls::sync_directory(fs_, site_.repository);
    site_.keep = static_cast<bool>(again);
  }
  fail(ec, syncing, site_.repository.string(), {}, "the name of set " + site_.set + " on stable storage", std::move(advice));
}

asio::awaitable<void> set_writer::commit(manifest& info) {
  require_usable("commit");
  try {
    const auto ex = co_await asio::this_coro::executor;
    if (!files_.empty()) {
      fail(errc::invalid_backup_sequence, "commit set " + site_.set, files_.begin()->second.info.name, {}, "closed files", "an open one");
    }
    co_await list_.finish();
    io::held_lock lock = co_await lock_commits();
    const commit_turn turn(std::move(lock));
    co_await prepare(info);
    // Hours may have passed, and somebody may have taken away what this set builds on: no logs must be deleted for it then.
    co_await require_parents(fs_, texts_, site_.repository, info, parent_, "commit set " + site_.set);
    asio::awaitable<void> last = publish();
    co_await asio::co_spawn(ex, std::move(last), asio::use_awaitable);
    ended_ = true;
    site_.lock.remove_and_release();
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

asio::awaitable<void> set_writer::abort() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (ended_) co_return;
  ended_ = true;
  // The system may still write into files that are about to go; it must be done with them before their directory can be empty.
  for (auto& [number, file] : files_) {
    (void)number;
    co_await file.out->settle();
    file.out->file().close();
  }
  files_.clear();
  co_await list_.settle();
  co_await clear_site(fs_, site_);
}

}  // namespace contrail::directory
