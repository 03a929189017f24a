#pragma once

#include <contrail/manifest.hpp>
#include <contrail/types.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace contrail {

/// One file as it was put into the directory that is to be recovered.
struct restored_file {
  restored_file() = default;
  std::string name;              ///< relative to the directory
  file_role role = file_role::database;
  std::uint64_t bytes = 0;       ///< length as stored
  std::uint64_t valid = 0;       ///< how much of it counts
};

/// What `restorer::recover` works on. The chain goes from the full set to the one asked for.
struct recovery {
  recovery() = default;
  std::filesystem::path directory;          ///< holds the files of the chain; after success: only what is to be kept
  std::vector<std::shared_ptr<const manifest>> chain;
  std::vector<restored_file> files;
  std::filesystem::path also_logs;          ///< further logs to play; empty: none
  bool prove = false;                       ///< also run the engine's own check of the result
  std::size_t memory = std::size_t{32} << 20;   ///< bytes that the engine may use
};

/// Offline half of an adapter, found by the engine's name in the manifest. No running engine is needed; it serves restore, proof and
/// tests. Members may be awaited from any executor. Failures are `contrail::error`.
class restorer {
 public:
  virtual ~restorer() = default;
  /// The `engine_traits::name` that this restorer serves.
  virtual std::string_view engine() const noexcept = 0;
  /// Can this chain be recovered by this build? Asked before anything is put in place.
  [[nodiscard]] virtual asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const manifest>> chain) = 0;
  /// Recovers the files in place. On success `work.directory` holds clean databases that may be renamed to their final names (and
  /// are synced); the names that are left are returned. On failure the directory is worthless.
  [[nodiscard]] virtual asio::awaitable<std::vector<std::string>> recover(const recovery& work) = 0;
  /// Names that would be taken for part of `file` when they stand beside it (SQLite: "-wal", "-shm", "-journal"): a restore over
  /// `file` removes them. Relative to the directory of `file`, as `file` is.
  virtual std::vector<std::string> companions(std::string_view file) const = 0;
  /// May a recovered file be put at `into / name`, whether something is there or not? Asked for each before anything is written, and again before
  /// the first is put in place. Fails with `errc::database_locked` where what stands around the place would be taken for part of it, or would
  /// lose what it is for. Most engines have nothing to say.
  [[nodiscard]] virtual asio::awaitable<void> check_target(std::filesystem::path into, std::string name) {
    (void)into;
    (void)name;
    co_return;
  }
  /// Fails with `errc::database_locked` when some process has `file` open (or one of its companions), or when it is not
  /// whole by itself and what would make it so stands elsewhere. What is returned keeps others out
  /// until it is released; `file` may then be replaced. `file` exists.
  [[nodiscard]] virtual asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path file) = 0;
  /// Called right before the file that `held` keeps others out of is replaced by a rename. Where the system refuses that for a file that
  /// is open (Windows), the hold must end here; nobody else can have it open then, or the rename fails. True: it
  /// ended, so what stands beside the new file afterwards was left by somebody at the old one. Must not wait.
  virtual bool before_replacing(const std::shared_ptr<void>& held) noexcept {
    (void)held;
    return false;
  }
};

}  // namespace contrail
