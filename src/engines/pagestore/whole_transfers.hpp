#pragma once

#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Reads and writes of files that are never short, and fail with `contrail::error`. The file, the memory and the words are borrowed for the
/// time of the call. Cancellation: the operation in flight ends first.
namespace contrail::pagestore {

/// How many bytes there are: fewer than asked for only where the file ends.
[[nodiscard]] asio::awaitable<std::size_t> read_whole(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into,
                                                      std::string_view operation, std::string_view name);
[[nodiscard]] asio::awaitable<void> write_whole(io::random_access_file& file, std::uint64_t offset, asio::const_buffer from,
                                                std::string_view operation, std::string_view name);
/// Zeros from `first` to before `last`, in pieces.
[[nodiscard]] asio::awaitable<void> write_zeros(io::random_access_file& file, std::uint64_t first, std::uint64_t last, std::string_view operation,
                                                std::string_view name);
/// A failure is final for what was written before.
[[nodiscard]] asio::awaitable<void> sync_file(io::random_access_file& file, std::string_view operation, std::string_view name);
[[nodiscard]] asio::awaitable<std::uint64_t> file_bytes(io::random_access_file& file, std::string_view operation, std::string_view name);

}  // namespace contrail::pagestore
