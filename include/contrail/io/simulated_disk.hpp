#pragma once

#include <contrail/io/file_system.hpp>

#include <asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace contrail::io {

namespace detail {
class disk_core;
}

/// What a disk is asked for. `release` is the end of a lock whose file is removed (`held_lock::remove_and_release`).
enum class disk_request : std::uint8_t {
  any, read, write, sync, allocate, resize, size, open, rename, rename_new, remove, remove_all, make_directory, sync_directory,
  set_attributes, list, stat, lock, release, call
};
/// "read", "write", "sync", ...
std::string_view to_string(disk_request what) noexcept;

/// What becomes of operations in flight that are cancelled, or whose context goes away: the seed decides for each, all are stopped and not
/// done, or all are done as if nothing had been said.
enum class disk_cancellation : std::uint8_t { seeded, stops, comes_late };

/// How a disk behaves. The same options, faults and calls give the same events, on an event loop with one thread.
struct disk_options {
  std::uint64_t seed = 1;                                                ///< of delays, short transfers, cancellations
  std::uint64_t capacity = std::numeric_limits<std::uint64_t>::max();    ///< bytes in sectors of 512; a name takes one
  std::chrono::microseconds least_delay{10};                             ///< each operation takes between these two, of the disk's own
  std::chrono::microseconds most_delay{200};                             ///< clock; when they are equal, operations end in their order
  bool short_transfers = false;                                          ///< some move fewer bytes than asked for; writes, whole sectors
  disk_cancellation cancellation = disk_cancellation::seeded;
  unsigned depth = 64;                                                   ///< operations at once in one file system
  unsigned patience = 16;   ///< turns of the event loop in which nothing was asked, before the disk's clock jumps to the next completion
};

/// An operation that fails. Counted are those that match, from when the fault was added.
struct disk_fault {
  disk_fault() = default;
  disk_request what = disk_request::any;
  std::string path;                     ///< part of the path, in UTF-8 and with slashes; empty: any
  std::uint64_t nth = 0;                ///< 0: the first that matches
  bool lasting = false;                 ///< that one and all later ones
  bool applied = false;                 ///< it is done, and fails all the same
  std::error_code error = std::make_error_code(std::errc::io_error);   ///< none: it is not done, and nobody is told
};
// A sync that fails marks as clean what was unsynced and loses it at the next crash; a later sync of the same file succeeds and does not
// help; but one of a directory that fails with too_many_files_open was not even begun. A removal of a whole directory that fails may have removed a part.

/// One thing that a disk did.
struct disk_event {
  disk_event() = default;
  std::uint64_t number = 0;
  disk_request what = disk_request::any;
  std::string path;                     ///< UTF-8, with slashes
  std::string second;                   ///< of renames
  std::uint64_t offset = 0;             ///< read, write; length of allocate and resize
  std::uint64_t bytes = 0;              ///< asked for
  std::uint64_t count = 0;              ///< done
  std::error_code error;
  bool creates = false;                 ///< open, lock: a file that was not there
  friend bool operator==(const disk_event&, const disk_event&) = default;
};
/// In one line.
std::string to_string(const disk_event& event);

/// What a crash leaves of everything that was not synced. seeded: of each sector, length and name the old or the new state, as the seed
/// says. worst: nothing. best: everything, but for what a failed sync lost.
enum class crash_mode : std::uint8_t { seeded, worst, best };

/// A disk in memory that survives its file systems and crashes, for tests. Any thread; handles share the disk.
///
/// What is written is durable after a sync of its file, down to single sectors of 512 bytes; so is the length. A name that is made, renamed
/// or removed is so after a sync of its directory (that of the new name for a rename, which is atomic); a sync of the file does not help.
/// A sync is about what had ended when it was asked for; what ends while it is done needs another.
/// Changes of different names reach the disk in any order, those of one name in theirs. Rights are kept and not checked, and durable at
/// once. There are no links. Errors are those of a POSIX system. Locks end at a crash.
class simulated_disk {
 public:
  explicit simulated_disk(const disk_options& options = {});
  simulated_disk(const simulated_disk&);
  simulated_disk& operator=(const simulated_disk&);
  ~simulated_disk();

  /// A file system on this disk. Several may be used at once.
  file_system mount(asio::any_io_executor ex);

  // Faults
  void add(disk_fault fault);
  void clear_faults();
  void set_capacity(std::uint64_t bytes);
  void set_cancellation(disk_cancellation what);
  /// The power fails when so many more operations have been done: no further one ends. `then` is called once, from the event loop: a
  /// place to stop it, for it would wait for ever.
  void halt_after(std::uint64_t operations, std::function<void()> then);
  bool halted() const;

  // Crashes
  /// All file systems and files of before are stale: what is asked of them fails with `std::errc::no_such_device`. The power is back.
  void crash(crash_mode mode, std::uint64_t seed = 0);
  /// Another disk, as this one would be found after a crash. This one stays as it is.
  simulated_disk after_crash(crash_mode mode, std::uint64_t seed = 0) const;

  // To look at it, and to prepare it, past all faults. These throw std::system_error.
  /// Durable at once, with the directories on the way.
  void write_file(const std::filesystem::path& path, std::string_view bytes);
  void make_directory(const std::filesystem::path& path);
  void remove(const std::filesystem::path& path);
  std::string read_file(const std::filesystem::path& path) const;
  bool exists(const std::filesystem::path& path) const;
  /// Every name below, sorted, those of directories with a slash at the end. Empty when there is no such directory.
  std::vector<std::string> names(const std::filesystem::path& below = "/") const;
  /// Every file below with its bytes, by its path from `below`.
  std::map<std::string, std::string> files(const std::filesystem::path& below = "/") const;

  std::uint64_t operations() const;     ///< done so far, failed ones too
  std::vector<disk_event> log() const;  ///< the last of them
  std::size_t open_files() const;
  std::size_t held_locks() const;
  std::size_t in_flight() const;
  std::uint64_t used_bytes() const;
  std::chrono::microseconds now() const;   ///< by the disk's clock

 private:
  explicit simulated_disk(std::shared_ptr<detail::disk_core> core);
  std::shared_ptr<detail::disk_core> core_;
};

}  // namespace contrail::io
