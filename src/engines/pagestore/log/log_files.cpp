#include "engines/pagestore/log/log_files.hpp"

#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/buffer.hpp>

#include <string_view>
#include <vector>

namespace contrail::pagestore {

asio::awaitable<std::error_code> make_log_file(io::file_system fs, std::filesystem::path path, std::uint64_t bytes) {
  io::open_options options;
  options.mode = io::access::write;
  options.create = true;
  options.truncate = true;
  calls::opened made = co_await calls::open(fs, path, options);
  std::error_code ec = made.ec;
  if (!ec) {
    constexpr std::string_view operation = "make log";
    const std::string name = io::to_text(path);
    try {
      co_await write_zeros(made.file, 0, bytes, operation, name);
      co_await sync_file(made.file, operation, name);
    } catch (const std::system_error& e) {
      ec = e.code();
    }
  }
  made.file.close();
  if (!ec) ec = co_await calls::sync_directory(fs, calls::directory_of(path));
  if (ec) {
    // Room that a half-made file takes is room that nobody has.
    const std::error_code ignored = co_await calls::remove(fs, path);
    static_cast<void>(ignored);
  }
  co_return ec;
}

asio::awaitable<void> write_log_header(io::random_access_file& file, const log_header& header, std::string name) {
  constexpr std::string_view operation = "write log header";
  std::vector<std::byte> block(log_header_bytes);
  encode_log_header(header, block);
  const asio::const_buffer whole(block.data(), block.size());
  co_await write_whole(file, 0, whole, operation, name);
  co_await sync_file(file, operation, name);
}

}  // namespace contrail::pagestore
