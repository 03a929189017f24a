#pragma once

#include "operations/chain.hpp"

#include <contrail/io/file_system.hpp>
#include <contrail/progress.hpp>
#include <contrail/repository.hpp>
#include <contrail/restorer.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace contrail::operations {

/// A file of a set as it was copied out of it.
struct copied_file {
  copied_file() = default;
  restored_file file;
  std::uint32_t mode = 0;
  std::string owner;
};

/// As set_reader::next_file, but passes over things that stand in the set and are no part of it: verify reports them, and they keep
/// nobody from restoring what is whole.
[[nodiscard]] asio::awaitable<std::optional<manifest_file>> next_file_of(set_reader& from);

/// Copies every file of a set below `directory`, adds them to `copied` and proves the whole set. A name that is among `copied` already is
/// damage: no file is in two sets of a chain. Several reads and writes are in flight; the reader's buffers
/// bound them. `table` bounds what all of `copied` may take, in bytes; the engine and the placing hold the names once more each, when the
/// reader is gone. Fails as the reader does; the directory is then worthless, and cancellation is disabled for what the coroutine that
/// called has yet to do: clean up.
[[nodiscard]] asio::awaitable<void> copy_set(io::file_system fs, set_reader& from, std::filesystem::path directory, std::size_t table,
                                             io::caching cache, struct progress* counters, std::string operation,
                                             std::vector<copied_file>& copied);

/// The work of a restorer over these files. `memory`: the whole budget, of which the lists of files and sets may take a half.
recovery make_recovery(const std::filesystem::path& directory, set_chain chain, const std::vector<copied_file>& files, bool prove, std::size_t memory);
/// The least that a restore or a proof can work with. Fails with `errc::invalid_parameter` for less.
void require_memory(std::size_t memory, const std::string& operation);

}  // namespace contrail::operations
