#pragma once

#include "slots.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

// What the adapter asks of the system itself. Everything here may block: workers only, except `descriptor::bytes`.
namespace contrail::sqlite {

/// An open descriptor.
class descriptor {
 public:
  descriptor() noexcept = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept;
  ~descriptor();
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int get() const noexcept { return fd_; }
  /// Length now; never waits for the disk. 0 when nothing is open.
  std::uint64_t bytes() const noexcept;

 private:
  int fd_ = -1;
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
/// Follows links. Nothing when the name cannot be reached; `errno` says why.
std::optional<name_facts> look_at(const std::filesystem::path& path) noexcept;
/// Opens for reading, never for a terminal, never through to a child.
descriptor open_for_reading(const std::filesystem::path& path) noexcept;
/// Up to `bytes` bytes from the front.
std::string read_front(const descriptor& file, std::size_t bytes);

/// Whether anybody else (another process, or a connection in this one) holds one of SQLite's locks on the database: a connection in WAL
/// mode always does. Opens and closes the file: only while this process has no connection to it.
bool others_hold_locks(const std::filesystem::path& database) noexcept;
/// Takes all of SQLite's lock bytes, so that no other connection can read or write (`strong`), or at least none can write (the file is
/// not writable for us). False when somebody holds one of them. The lock belongs to the descriptor: SQLite in this process is kept out
/// too.
bool lock_out_others(const descriptor& database, bool strong) noexcept;
void unlock(const descriptor& database) noexcept;

/// A process that has one of these files open, in words; our own `except` does not count. Processes that we may not look into are passed
/// over.
std::optional<std::string> find_opener(std::span<const file_identity> files, int except);
/// Does this process have the file open? Nothing when it cannot be told (no /proc).
std::optional<bool> open_in_this_process(file_identity file);

}  // namespace contrail::sqlite
