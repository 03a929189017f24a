#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/io/held_lock.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::operations {

/// A hidden directory `<parent>/<prefix><random>/`, kept by the lock `<prefix><random>.lock` beside it, which dies with its holder.
class work_directory {
 public:
  work_directory(io::file_system fs, std::filesystem::path parent, std::string prefix, std::string operation);

  /// Removes what killed runs left under this prefix (their lock is free, their owner is ours), then makes the directory.
  [[nodiscard]] asio::awaitable<void> make();
  const std::filesystem::path& path() const noexcept { return path_; }
  /// Removes the directory with all that is in it. Harmless when there is none. Cancellation must be disabled.
  [[nodiscard]] asio::awaitable<std::error_code> clear();

 private:
  asio::awaitable<void> sweep();
  asio::awaitable<bool> is_free_or_ours(std::filesystem::path path, io::entry_type type, std::uint32_t uid);

  io::file_system fs_;
  std::filesystem::path parent_;
  std::string prefix_;
  std::string operation_;
  std::filesystem::path path_;
  io::held_lock lock_;
};

}  // namespace contrail::operations
