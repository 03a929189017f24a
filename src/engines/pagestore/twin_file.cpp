#include "engines/pagestore/twin_file.hpp"

#include "engines/pagestore/whole_transfers.hpp"

#include <asio/buffer.hpp>

namespace contrail::pagestore {

asio::awaitable<twin_copies> read_twins(io::random_access_file& file, twin_place place, std::string operation, std::string name) {
  twin_copies out;
  out.first.resize(place.bytes);
  out.second.resize(place.bytes);
  const asio::mutable_buffer first = asio::buffer(out.first);
  const std::size_t in_first = co_await read_whole(file, place.first, first, operation, name);
  out.first.resize(in_first);
  const asio::mutable_buffer second = asio::buffer(out.second);
  const std::size_t in_second = co_await read_whole(file, place.second, second, operation, name);
  out.second.resize(in_second);
  co_return out;
}

asio::awaitable<void> write_twins(io::random_access_file& file, std::function<asio::awaitable<void>()> sync, twin_place place,
                                  std::vector<std::byte> block, bool second_first, std::string operation, std::string name) {
  const std::uint64_t one = second_first ? place.second : place.first;
  const std::uint64_t other = second_first ? place.first : place.second;
  const asio::const_buffer content = asio::buffer(block);
  co_await write_whole(file, one, content, operation, name);
  co_await sync();
  co_await write_whole(file, other, content, operation, name);
  co_await sync();
}

}  // namespace contrail::pagestore
