#include <contrail/source.hpp>

#include "source/read_fully.hpp"

#include <contrail/error.hpp>

#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace contrail {

asio::awaitable<detail::read_result> detail::read_fully(io::random_access_file& file, std::uint64_t offset, asio::mutable_buffer into) {
  detail::read_result out;
  // (asio::async_read_at would cut a chunk into pieces of 64 KiB, one after another.)
  while (out.bytes < into.size() && !out.ec) {
    const asio::mutable_buffer rest = into + out.bytes;
    const auto [ec, n] = co_await file.async_read_some_at(offset + out.bytes, rest, asio::experimental::as_tuple(asio::use_awaitable));
    out.bytes += n;
    if (ec == asio::error::eof) break;
    out.ec = ec;
  }
  co_return out;
}

namespace {

class file_source final : public source {
 public:
  file_source(io::random_access_file file, std::uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}
  std::uint64_t bytes() const noexcept override { return bytes_; }
  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    if (offset >= bytes_) co_return std::size_t{0};
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), bytes_ - offset));
    const asio::mutable_buffer part(into.data(), wanted);
    const detail::read_result got = co_await detail::read_fully(file_, offset, part);
    if (got.ec) fail(got.ec, "read file", {}, offset + got.bytes);
    co_return got.bytes;
  }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    delivered_ = offset + chunk.size();
    return {};
  }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override { co_return delivered_; }

 private:
  io::random_access_file file_;
  std::uint64_t bytes_;
  std::uint64_t delivered_ = 0;
};

}  // namespace

std::unique_ptr<source> make_file_source(io::random_access_file file, std::uint64_t bytes) {
  return std::make_unique<file_source>(std::move(file), bytes);
}

}  // namespace contrail
