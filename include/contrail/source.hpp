#pragma once

#include <contrail/io/random_access_file.hpp>
#include <contrail/types.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace contrail {

/// What a file of a set is to its engine. Stored by name: "database", "log", "control", "label", "directory", "link".
enum class file_role : std::uint8_t { database, log, control, label, directory, link };
std::string_view to_string(file_role role) noexcept;
bool parse_file_role(std::string_view text, file_role& out) noexcept;

/// One file to be copied, as the engine lists it.
struct file_info {
  file_info() = default;
  std::string name;              ///< relative, '/' separated; checked against escape by sink and restore
  file_role role = file_role::database;
  std::uint64_t bytes = 0;       ///< bound at listing time; the end of the source says what it was
  generation log = 0;            ///< role log: its generation
  std::string target;            ///< role link: where it points
  std::uint32_t mode = 0;        ///< permission bits of the original; a set is 0600, restore gives them back. 0: unknown
  std::string owner;             ///< "uid:gid" of the original; restored where the process may. Empty: unknown
  bool may_vanish = false;       ///< gone at open or while read is no error
  bool unchanged = false;        ///< same as in the parent set: referenced, not copied
};

/// Lazy list of files in the order in which they must be copied. Ends with an empty batch.
class file_list {
 public:
  virtual ~file_list() = default;
  [[nodiscard]] virtual asio::awaitable<std::vector<file_info>> next() = 0;
};

/// One opened file of a running backup. Only verified bytes come out of it.
/// Awaited on the session's strand; several `read`s may run at once. Cancellation: terminal, at every await.
class source {
 public:
  virtual ~source() = default;
  /// Length of the body in bytes as known at open; the file ends where reads end.
  virtual std::uint64_t bytes() const noexcept = 0;
  /// Bytes that `finish` will write behind the body. Fixed for the life of the source.
  virtual std::size_t trailer_bytes() const noexcept { return 0; }
  /// Reads must start at multiples of this (bytes); also the least useful length of a buffer.
  virtual std::size_t granularity() const noexcept { return 1; }
  /// Fills `into` from `offset`. Short only where the file ends (0 at and behind its end).
  /// Fails with `contrail::error`: -1018, -1118, `errc::file_vanished`, `errc::source_restarted`, or a system error.
  [[nodiscard]] virtual asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) = 0;
  /// Sees every chunk once, in order, before it is delivered: running checksums, log chains. Must not wait.
  virtual std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) {
    (void)offset;
    (void)chunk;
    return {};
  }
  /// Once, after the last read and fold. Writes the trailer into `trailer` (exactly `trailer_bytes()`), and returns how many bytes of
  /// the body count; less than were read for a log that ends in an unfinished transaction.
  [[nodiscard]] virtual asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) = 0;
};

/// Source over bytes in memory: labels, control records.
std::unique_ptr<source> make_memory_source(std::string bytes);
/// Source over an open file, as far as `bytes`; nothing is verified beyond what the system does.
std::unique_ptr<source> make_file_source(io::random_access_file file, std::uint64_t bytes);

}  // namespace contrail
