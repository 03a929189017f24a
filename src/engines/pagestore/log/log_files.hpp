#pragma once

#include "engines/pagestore/format/log_header.hpp"

#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

/// Making a log file, step by step durable.
namespace contrail::pagestore {

/// A file of `bytes` zeros under a name of its own, which is on stable storage. Whatever stood there is replaced. On failure nothing stays.
[[nodiscard]] asio::awaitable<std::error_code> make_log_file(io::file_system fs, std::filesystem::path path, std::uint64_t bytes);
/// May this file of an older generation become a new one? Not when it has another length, or a sector behind its header that nobody could tell
/// from damage later: an older generation's is passed over by its content alone.
[[nodiscard]] asio::awaitable<bool> may_be_used_again(io::file_system fs, std::filesystem::path path, std::uint64_t bytes, std::uint32_t generation,
                                                      signature log);

/// Writes the header block, and syncs. `name`: of the file, for messages.
[[nodiscard]] asio::awaitable<void> write_log_header(io::random_access_file& file, const log_header& header, std::string name);

}  // namespace contrail::pagestore
