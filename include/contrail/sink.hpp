#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/source.hpp>
#include <contrail/types.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

namespace contrail {

class manifest;

/// What a sink learns when a set begins.
struct set_header {
  set_header() = default;
  std::string set;       ///< id: UTC time and a random part
  std::string engine;    ///< engine_traits::name
  kind what = kind::full;
  std::shared_ptr<const manifest> parent;   ///< incremental, differential: the set that this one builds on
};

/// Number of a file within one set.
struct file_id {
  std::uint32_t value = 0;
  friend constexpr bool operator==(const file_id&, const file_id&) = default;
};

/// What a file turned out to be.
struct file_end {
  file_end() = default;
  std::uint64_t bytes = 0;   ///< stored, trailer included
  std::uint64_t valid = 0;   ///< how much counts; equal to `bytes` for most
  std::string digest;        ///< "xxh3-128:<hex>" over all stored bytes (docs/repository-format.md)
};

/// Everything before it is durable in the sink.
struct set_position {
  file_id file;
  std::uint64_t offset = 0;
};

/// One set being written. Calls come one after another, on the session's strand. Not committed means discarded; the destructor does
/// not wait, so `abort` is the orderly way. Failures are `contrail::error`; after one, only `abort` may be called.
class set_writer {
 public:
  virtual ~set_writer() = default;
  [[nodiscard]] virtual asio::awaitable<file_id> open(const file_info& file) = 0;
  /// Takes the lease: the first `bytes` of it belong at `offset`. Returns when accepted, which is the backpressure; a failure of the
  /// write itself may surface at a later call. Offsets ascend without gaps.
  [[nodiscard]] virtual asio::awaitable<void> write(file_id file, std::uint64_t offset, io::lease data, std::size_t bytes) = 0;
  [[nodiscard]] virtual asio::awaitable<void> close(file_id file, const file_end& end) = 0;
  /// The file is no longer wanted: vanished, failed or restarted. Nothing of it stays. Also for a file that was closed before, when
  /// another file of its database failed.
  [[nodiscard]] virtual asio::awaitable<void> drop(file_id file, std::error_code why) = 0;
  /// On return the set is durable and visible. Fills in what only the sink knows: sequence, counts, root digest. A failed sync is
  /// final: the set is discarded, never committed by a second try. The sequence of a set is higher than that of its parent, wherever that
  /// came from. A sink that looks up parents (`sink::begin`) does so again, while nothing else can be committed.
  [[nodiscard]] virtual asio::awaitable<void> commit(manifest& info) = 0;
  /// Discards the set. Harmless after a failure. Runs with cancellation disabled.
  [[nodiscard]] virtual asio::awaitable<void> abort() = 0;
  virtual set_position position() const noexcept = 0;
};

/// Where a backup goes, asynchronously and with backpressure.
class sink {
 public:
  virtual ~sink() = default;
  /// Starts a set; what is made before the first byte is removed again on failure. A set that builds on others is worth nothing where those
  /// are not, and its backup may delete the logs that would make up for them. So a sink that can look up its sets fails with
  /// `errc::missing_full_backup`, before it makes anything, unless it has exactly `header.parent`, and all that one builds on. One that cannot (it
  /// only sends) ignores `parent`: who runs it sees to it that a chain stays together.
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<set_writer>> begin(const set_header& header) = 0;
};

}  // namespace contrail
