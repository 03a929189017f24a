#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include "async/file_calls.hpp"

#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

namespace contrail::pagestore {

namespace {

const auto& token() {
  static const auto value = asio::experimental::as_tuple(asio::use_awaitable);
  return value;
}

void check(std::error_code ec, std::string_view operation, std::string_view name, std::uint64_t offset) {
  if (ec) fail(ec, std::string(operation), std::string(name), offset);
}

}  // namespace

asio::awaitable<std::size_t> read_whole(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into,
                                        std::string_view operation, std::string_view name) {
  std::size_t done = 0;
  while (done < into.size()) {
    const asio::mutable_buffer rest = into + done;
    const auto result = co_await file.async_read_some_at(offset + done, rest, token());
    if (std::get<0>(result) == asio::error::eof) break;
    check(std::get<0>(result), operation, name, offset + done);
    if (std::get<1>(result) == 0) break;
    done += std::get<1>(result);
  }
  co_return done;
}

asio::awaitable<void> write_whole(io::random_access_file& file, std::uint64_t offset, asio::const_buffer from, std::string_view operation,
                                  std::string_view name) {
  std::size_t done = 0;
  while (done < from.size()) {
    const asio::const_buffer rest = from + done;
    const auto result = co_await file.async_write_some_at(offset + done, rest, token());
    check(std::get<0>(result), operation, name, offset + done);
    if (std::get<1>(result) == 0) check(std::make_error_code(std::errc::io_error), operation, name, offset + done);
    done += std::get<1>(result);
  }
}

asio::awaitable<void> write_zeros(io::random_access_file& file, std::uint64_t first, std::uint64_t last, std::string_view operation,
                                  std::string_view name) {
  constexpr std::uint64_t piece = std::uint64_t{1} << 20U;
  if (first >= last) co_return;
  const std::vector<std::byte> zeros(static_cast<std::size_t>(std::min(piece, last - first)));
  while (first < last) {
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), last - first));
    const asio::const_buffer from(zeros.data(), bytes);
    co_await write_whole(file, first, from, operation, name);
    first += bytes;
  }
}

asio::awaitable<void> sync_file(io::random_access_file& file, std::string_view operation, std::string_view name) {
  const std::error_code ec = co_await calls::sync(file);
  if (ec) fail(ec, std::string(operation), std::string(name));
}

asio::awaitable<std::uint64_t> file_bytes(io::random_access_file& file, std::string_view operation, std::string_view name) {
  const auto result = co_await calls::size(file);
  if (result.first) fail(result.first, std::string(operation), std::string(name));
  co_return result.second;
}

}  // namespace contrail::pagestore
