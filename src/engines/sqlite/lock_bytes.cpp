#include "lock_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace contrail::sqlite {

namespace {

class source_around final : public source {
 public:
  source_around(std::unique_ptr<source> body, std::uint64_t at)
      : body_(std::move(body)), first_(at - at % body_->granularity()), end_(first_ + body_->granularity()) {}

  std::uint64_t bytes() const noexcept override { return body_->bytes(); }
  std::size_t trailer_bytes() const noexcept override { return body_->trailer_bytes(); }
  std::size_t granularity() const noexcept override { return body_->granularity(); }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override { return body_->fold(offset, chunk); }
  [[nodiscard]] asio::awaitable<std::uint64_t> finish(asio::mutable_buffer trailer) override { return body_->finish(trailer); }

  [[nodiscard]] asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    if (offset >= end_ || offset + into.size() <= first_) {
      const std::size_t plain = co_await body_->read(offset, into);
      co_return plain;
    }
    std::size_t done = 0;
    if (offset < first_) {
      const auto before = static_cast<std::size_t>(first_ - offset);
      const asio::mutable_buffer front = asio::buffer(into, before);
      done = co_await body_->read(offset, front);
      if (done < before) {
        co_return done;
      }
    }
    // The file as long as it was when it was opened, as everywhere; a page that is cut off there is not delivered in part.
    const std::uint64_t here = offset + done;
    const std::uint64_t end = std::min(end_, std::max(body_->bytes(), here));
    const auto zeros = static_cast<std::size_t>(std::min<std::uint64_t>(end - here, into.size() - done));
    std::memset(static_cast<char*>(into.data()) + done, 0, zeros);
    done += zeros;
    if (done < into.size() && offset + done == end_) {
      const asio::mutable_buffer back = into + done;
      const std::size_t rest = co_await body_->read(end_, back);
      done += rest;
    }
    co_return done;
  }

 private:
  std::unique_ptr<source> body_;
  std::uint64_t first_, end_;
};

}  // namespace

std::unique_ptr<source> around_lock_bytes(std::unique_ptr<source> body, std::uint64_t at) {
  return std::make_unique<source_around>(std::move(body), at);
}

}  // namespace contrail::sqlite
