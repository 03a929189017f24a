#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include "async/read_ahead.hpp"
#include "format/digest.hpp"

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace contrail::directory {

/// `files.jsonl`, line by line, digested as it goes. No line is longer than `most_line_bytes`.
class line_reader {
 public:
  /// `pool` must outlive this object.
  line_reader(io::file_system fs, std::filesystem::path path, io::buffer_pool& pool, std::string operation);

  /// Must come first, and only once. Fails as `read_text` does.
  [[nodiscard]] asio::awaitable<void> open();
  /// Without its line feed; empty at the end. Fails with `errc::set_damaged`.
  [[nodiscard]] asio::awaitable<std::optional<std::string>> next();
  /// Of what was read so far: all of it when next() has come to the end.
  std::string digest_text() const { return digest_.text(); }
  std::uint64_t lines() const noexcept { return lines_; }

 private:
  io::file_system fs_;
  std::filesystem::path path_;
  io::buffer_pool* pool_;
  std::string operation_;
  std::unique_ptr<read_ahead> input_;
  read_ahead::piece piece_;
  std::size_t at_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t lines_ = 0;
  digest digest_;
};

}  // namespace contrail::directory
