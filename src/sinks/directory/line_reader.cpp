#include "sinks/directory/line_reader.hpp"

#include <contrail/error.hpp>
#include "sinks/directory/layout.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace contrail::directory {

line_reader::line_reader(io::file_system fs, std::filesystem::path path, io::buffer_pool& pool, std::string operation)
    : fs_(std::move(fs)), path_(std::move(path)), pool_(&pool), operation_(std::move(operation)) {}

asio::awaitable<void> line_reader::open() {
  io::random_access_file file = co_await open_listed(fs_, path_, std::string(list_name), operation_);
  bytes_ = file.facts().bytes;
  input_ = std::make_unique<read_ahead>(std::move(file), bytes_, *pool_, 1);
}

asio::awaitable<std::optional<std::string>> line_reader::next() {
  std::optional<std::string> line;
  std::string text;
  while (true) {
    if (at_ == piece_.bytes) {
      piece_.data.reset();   // the pool may have no other
      piece_.bytes = 0;
      at_ = 0;
      piece_ = co_await input_->next();
      if (piece_.ec) fail(piece_.ec, operation_, path_.string(), piece_.offset);
      if (piece_.bytes == 0) {
        if (seen_ != bytes_) {
          fail(errc::set_damaged, operation_, std::string(list_name), seen_, std::to_string(bytes_) + " bytes", "a file that ends there");
        }
        if (!text.empty()) fail(errc::set_damaged, operation_, std::string(list_name), seen_, "the end of a line", "the end of the file");
        co_return line;
      }
      const asio::const_buffer fresh(piece_.data.buffer().data(), piece_.bytes);
      digest_.update(fresh);
      seen_ += piece_.bytes;
    }
    const auto* from = static_cast<const char*>(piece_.data.buffer().data()) + at_;
    const std::size_t left = piece_.bytes - at_;
    const void* feed = std::memchr(from, '\n', left);
    const std::size_t n = feed == nullptr ? left : static_cast<std::size_t>(static_cast<const char*>(feed) - from);
    if (text.size() + n > most_line_bytes) {
      fail(errc::set_damaged, operation_, std::string(list_name), piece_.offset + at_,
           "lines of at most " + std::to_string(most_line_bytes) + " bytes", "a longer one");
    }
    text.append(from, n);
    at_ += n;
    if (feed == nullptr) continue;
    ++at_;
    ++lines_;
    line = std::move(text);
    co_return line;
  }
}

}  // namespace contrail::directory
