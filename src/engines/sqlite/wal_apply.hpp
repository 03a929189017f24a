#pragma once

#include "engine_state.hpp"

#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>

namespace contrail::sqlite {

/// Brings the database's file of a set to the state at the log's last commit: writes the pages of the log's first `valid` bytes into it,
/// in order, checks the chain of checksums once more on the way, and cuts the file to its final length. The chain must end exactly where
/// `state` says. Syncs the file. Memory: about 2 MiB. Fails with `errc::log_file_corrupt`, `errc::set_incomplete`,
/// `errc::set_damaged`; the file is then worthless.
[[nodiscard]] asio::awaitable<void> apply_log(io::file_system files, std::filesystem::path database, std::filesystem::path log,
                                              std::uint64_t valid, engine_state state);

/// The part of it for a set without log: checks length and header of the file, cuts it, syncs it.
[[nodiscard]] asio::awaitable<void> settle_database(io::file_system files, std::filesystem::path database, engine_state state,
                                                    std::shared_ptr<const page_coverage> coverage);

}  // namespace contrail::sqlite
