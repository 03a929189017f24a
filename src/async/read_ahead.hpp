#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

namespace contrail {

/// Reads a file from front to back with several reads in flight, as far as its pool has buffers.
class read_ahead {
 public:
  struct piece {
    piece() = default;
    std::uint64_t offset = 0;
    io::lease data;
    std::size_t bytes = 0;   ///< fewer than asked for only at a failure, or where the file ends too soon; 0 at the end
    std::error_code ec;
    bool end = false;        ///< nothing more was asked for
  };

  /// The first `bytes` of `file`. `window` is the number of reads in flight. `pool` must outlive this object.
  read_ahead(io::random_access_file file, std::uint64_t bytes, io::buffer_pool& pool, std::size_t window);
  ~read_ahead();
  read_ahead(const read_ahead&) = delete;
  read_ahead& operator=(const read_ahead&) = delete;

  /// The next piece. Waits for a buffer when the caller holds them all.
  [[nodiscard]] asio::awaitable<piece> next();

 private:
  struct state;
  class step;
  void start(io::lease data);

  std::shared_ptr<state> state_;
  io::buffer_pool* pool_;
  std::uint64_t bytes_;
  std::uint64_t asked_ = 0;
  std::size_t window_;
};

}  // namespace contrail
