#pragma once

#include "slots.hpp"

#include <contrail/engines/sqlite/functions.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

// What the adapter asks of the system itself; posix/ and windows/ answer, the build chooses. Everything here may block: workers only, except
// `descriptor::bytes`.
namespace contrail::sqlite {

/// A file that is open for a look: a descriptor, or a handle.
class descriptor {
 public:
  descriptor() noexcept = default;
  explicit descriptor(std::intptr_t native) noexcept : native_(native) {}
  descriptor(descriptor&& other) noexcept : native_(std::exchange(other.native_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept;
  ~descriptor();
  explicit operator bool() const noexcept { return native_ != -1; }
  std::intptr_t get() const noexcept { return native_; }
  /// Length now; never waits for the disk. 0 when nothing is open.
  std::uint64_t bytes() const noexcept;

 private:
  std::intptr_t native_ = -1;
};

/// What SQLite keeps under the database's name: "-wal", "-shm", "-journal".
inline std::filesystem::path beside(std::filesystem::path path, const char* suffix) {
  path += suffix;
  return path;
}

struct name_facts {
  file_identity identity;
  std::uint64_t bytes = 0;
  std::uint64_t links = 0;
  bool regular = false;
  bool directory = false;
};
/// Follows links. Nothing when the name cannot be reached; `ec` says why.
std::optional<name_facts> look_at(const std::filesystem::path& path, std::error_code& ec) noexcept;
inline std::optional<name_facts> look_at(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  return look_at(path, ignored);
}
/// The absolute name under which SQLite keeps the log: links are resolved as it does it, or refused where it does not.
std::filesystem::path resolve(const std::filesystem::path& path, std::error_code& ec);
/// Has the file, which was resolved, another name under which a log stands (a short one)? Fails with `errc::invalid_path`.
void refuse_other_log(const std::filesystem::path& path);
/// The path as SQLite takes it.
std::string for_sqlite(const std::filesystem::path& path);
/// Opens for reading, never for a terminal, never through to a child, and keeps nobody from anything.
descriptor open_for_reading(const std::filesystem::path& path, std::error_code& ec) noexcept;
/// Up to `bytes` bytes from the front.
std::string read_front(const descriptor& file, std::size_t bytes);
/// May this process write the file, as far as rights go?
bool may_write(const std::filesystem::path& path) noexcept;
/// Is that the error of a file that somebody has opened for himself alone?
bool is_kept_by_others(std::error_code ec) noexcept;

/// Whether anybody else (another process, or a connection in this one) holds one of SQLite's locks on the database: a connection in WAL
/// mode always does. Opens and closes the file: only while this process has no connection to it.
bool others_hold_locks(const std::filesystem::path& database) noexcept;
/// Would locks of this process go when a file of its own making is closed? So it is on POSIX systems when the process has the database
/// open. Nothing when it cannot be told (no /proc).
std::optional<bool> closing_drops_locks(file_identity database);
/// Do SQLite's lock bytes, which lie within the file once it is longer than 1 GiB, keep others from reading them?
bool lock_bytes_block_reading() noexcept;

/// Has the connection's file another name by now, or none? `path`: the name it was opened by. SQLite's result code.
int has_moved(const sqlite_functions& sql, sqlite3* connection, const std::filesystem::path& path, bool& moved);

/// Keeps others out of a file that is about to be replaced.
class target_hold {
 public:
  virtual ~target_hold() = default;
  /// Takes all of SQLite's locks, or as many as rights allow. Fails with `errc::database_locked`.
  virtual void lock() = 0;
  /// Lets SQLite in this process in.
  virtual void unlock() noexcept = 0;
  /// Fails with `errc::database_locked` when somebody has the file, or one beside it, open by now.
  virtual void look_again() = 0;
  /// Called right before the file is replaced: where an open file cannot be, this ends the hold. True when it did.
  virtual bool before_replacing() noexcept = 0;
};
/// `path` is resolved and leads to `identity`, whose slot is held. Not locked yet, but looked at: fails with `errc::database_locked` when
/// somebody has it open, or with the error of the file.
std::unique_ptr<target_hold> make_target_hold(const std::filesystem::path& path, file_identity identity);

}  // namespace contrail::sqlite
