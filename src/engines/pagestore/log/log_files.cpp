#include "engines/pagestore/log/log_files.hpp"

#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <asio/buffer.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>
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

asio::awaitable<bool> may_be_used_again(io::file_system fs, std::filesystem::path path, std::uint64_t bytes, std::uint32_t generation,
                                        signature log) {
  constexpr std::size_t piece = std::size_t{256} << 10U;
  constexpr std::string_view operation = "read an old log";
  const std::string name = io::to_text(path);
  bool good = true;
  try {
    const io::open_options options;
    calls::opened old = co_await calls::open(fs, path, options);
    calls::check(old.ec, operation, path);
    const std::uint64_t there = co_await file_bytes(old.file, operation, name);
    good = there == bytes;
    std::vector<std::byte> content(static_cast<std::size_t>(std::min<std::uint64_t>(piece, bytes)));
    std::uint64_t at = std::uint64_t{first_sector} * sector_bytes;
    while (good && at < bytes) {
      const asio::mutable_buffer into(content.data(), static_cast<std::size_t>(std::min<std::uint64_t>(content.size(), bytes - at)));
      const std::size_t got = co_await read_whole(old.file, at, into, operation, name);
      good = got == into.size();
      for (std::size_t i = 0; good && i < got; i += sector_bytes) {
        sector_header header;
        const auto sector = const_byte_span(content).subspan(i, sector_bytes);
        const auto index = static_cast<std::uint32_t>((at + i) / sector_bytes);
        const sector_state state = examine_sector(sector, generation, index, log.random, header);
        good = state == sector_state::zero || (state != sector_state::damaged && header.generation < generation);
      }
      at += got;
    }
  } catch (const std::system_error&) {
    good = false;
  }
  co_return good;
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
