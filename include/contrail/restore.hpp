#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/progress.hpp>
#include <contrail/repository.hpp>
#include <contrail/restorer.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contrail {

/// Options of restore(). Trivially destructible; what is pointed to outlives the operation.
struct restore_options {
  std::string_view set = "latest";                 ///< id, or "latest"
  bool overwrite = false;                          ///< replace files that are there
  std::size_t memory = std::size_t{64} << 20;      ///< bytes, the whole budget; at least 1 MiB
  struct progress* progress = nullptr;
  const io::file_system* files = nullptr;          ///< where the files go; null: the executor's own file system
};

/// What a restore did.
struct restore_report {
  restore_report() = default;
  std::string set;
  std::filesystem::path directory;
  std::vector<std::string> placed;                 ///< names, relative to the directory
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;                         ///< of the files in place
  double seconds = 0;
};

/// Writes the set's files to a hidden place inside `into` (created when missing), checks every byte, has the engine recover them, syncs,
/// and only then renames them to their names. On failure or cancellation (terminal) nothing is in place and nothing is left behind.
/// Fails with `contrail::error`: `errc::set_damaged` and family, `errc::set_exists` without `overwrite`, `errc::database_locked`.
[[nodiscard]] asio::awaitable<restore_report> restore(repository& from, restorer& with, std::filesystem::path into,
                                                      restore_options options = {});

/// Token form, started on `ex`: void(std::exception_ptr, restore_report).
template <typename Token>
auto async_restore(asio::any_io_executor ex, repository& from, restorer& with, std::filesystem::path into, restore_options options,
                   Token&& token) {
  return asio::co_spawn(std::move(ex), restore(from, with, std::move(into), options), std::forward<Token>(token));
}

}  // namespace contrail
