#include "engines/pagestore/log/log_files.hpp"

#include "async/file_calls.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

namespace contrail::pagestore {

namespace {

constexpr std::size_t zeros_at_once = std::size_t{256} << 10;

asio::awaitable<std::error_code> fill(io::random_access_file& file, std::uint64_t bytes) {
  const std::vector<std::byte> zeros(zeros_at_once);
  for (std::uint64_t at = 0; at < bytes;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(zeros_at_once, bytes - at));
    const std::error_code ec = co_await write_whole(file, at, const_byte_span(zeros.data(), count));
    if (ec) co_return ec;
    at += count;
  }
  const std::error_code synced = co_await calls::sync(file);
  co_return synced;
}

}  // namespace

asio::awaitable<std::error_code> write_whole(io::random_access_file& file, std::uint64_t offset, const_byte_span content) {
  const auto token = asio::experimental::as_tuple(asio::use_awaitable);
  while (!content.empty()) {
    const asio::const_buffer rest(content.data(), content.size());
    const auto result = co_await file.async_write_some_at(offset, rest, token);
    if (std::get<0>(result)) co_return std::get<0>(result);
    const std::size_t count = std::get<1>(result);
    if (count == 0) co_return std::make_error_code(std::errc::io_error);
    offset += count;
    content = content.subspan(count);
  }
  co_return std::error_code();
}

asio::awaitable<std::error_code> make_log_file(io::file_system fs, std::filesystem::path path, std::uint64_t bytes) {
  io::open_options options;
  options.mode = io::access::write;
  options.create = true;
  options.truncate = true;
  calls::opened made = co_await calls::open(fs, path, options);
  std::error_code ec = made.ec;
  if (!ec) ec = co_await fill(made.file, bytes);
  made.file.close();
  if (!ec) ec = co_await calls::sync_directory(fs, calls::directory_of(path));
  if (ec) {
    // Room that a half-made file takes is room that nobody has.
    const std::error_code ignored = co_await calls::remove(fs, path);
    static_cast<void>(ignored);
  }
  co_return ec;
}

asio::awaitable<std::error_code> write_log_header(io::random_access_file& file, const log_header& header) {
  std::vector<std::byte> block(log_header_bytes);
  encode_log_header(header, block);
  std::error_code ec = co_await write_whole(file, 0, block);
  if (!ec) ec = co_await calls::sync(file);
  co_return ec;
}

}  // namespace contrail::pagestore
