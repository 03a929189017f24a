#pragma once

#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace contrail::detail {

/// What a read brought; short with no error: the file ends there.
struct read_result {
  std::error_code ec;
  std::size_t bytes = 0;
};

/// Reads until `into` is full or the file ends. Fails only with a cancellation that came before it began; everything else is in the result.
asio::awaitable<read_result> read_fully(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into);

}  // namespace contrail::detail
