#include "support/run.hpp"

#include "engines/sqlite/lock_bytes.hpp"

#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace contrail;

namespace {

constexpr std::uint64_t page = 1024;
constexpr std::uint64_t lock_page = 7;

/// A file of pages, each full of its number's letter, in which nobody may read the page with the locks.
class guarded_pages final : public source {
 public:
  explicit guarded_pages(std::uint64_t pages) : pages_(pages) {}
  std::uint64_t bytes() const noexcept override { return pages_ * page; }
  std::size_t granularity() const noexcept override { return page; }
  [[nodiscard]] asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    if (offset % page != 0) throw std::logic_error("not at a page");
    const std::uint64_t end = std::min(offset + into.size(), bytes());
    if (offset >= end) co_return std::size_t{0};
    for (std::uint64_t at = offset; at < end; ++at) {
      if (at / page == lock_page) throw std::logic_error("the page with the locks was read");
      static_cast<char*>(into.data())[at - offset] = letter(at / page);
    }
    co_return static_cast<std::size_t>(end - offset);
  }
  [[nodiscard]] asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override { co_return bytes(); }
  static char letter(std::uint64_t number) { return static_cast<char>('a' + number % 26); }

 private:
  std::uint64_t pages_;
};

std::string whole(std::uint64_t pages, std::size_t step) {
  asio::io_context context;
  std::string out;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    // Anywhere within the page.
    const std::unique_ptr<source> file = sqlite::around_lock_bytes(std::make_unique<guarded_pages>(pages), lock_page * page + 100);
    CHECK(file->bytes() == pages * page);
    std::vector<char> piece(step);
    for (;;) {
      std::fill(piece.begin(), piece.end(), '?');
      const asio::mutable_buffer into = asio::buffer(piece);
      const std::size_t got = co_await file->read(out.size(), into);
      out.append(piece.data(), got);
      if (got < step) break;
    }
  });
  return out;
}

}  // namespace

TEST_CASE("sqlite lock bytes: their page comes out as zeros and is never read, whatever the pieces", "[sqlite_lock_bytes]") {
  for (const std::uint64_t pages : {std::uint64_t{3}, lock_page, lock_page + 1, lock_page + 2, std::uint64_t{20}}) {
    std::string expected;
    for (std::uint64_t number = 0; number < pages; ++number) {
      expected.append(page, number == lock_page ? '\0' : guarded_pages::letter(number));
    }
    for (const std::size_t step : std::vector<std::size_t>{1, 2, 3, 5, 7, 8, 16, 64}) {
      INFO(pages << " pages, " << step << " at a time");
      CHECK(whole(pages, step * page) == expected);
    }
  }
}
