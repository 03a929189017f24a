#include <contrail/page_source.hpp>

#include "failure.hpp"
#include "source/read_fully.hpp"

#include <contrail/error.hpp>

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace contrail {
namespace {

using clock = std::chrono::steady_clock;

/// The engine keeps off these pages while it lives.
class range_hold {
 public:
  range_hold(page_gate& gate, page_range pages, read_counters* counters) noexcept
      : gate_(gate), pages_(pages), counters_(counters), since_(clock::now()) {}
  range_hold(const range_hold&) = delete;
  range_hold& operator=(const range_hold&) = delete;
  ~range_hold() {
    gate_.unlock(pages_);
    if (counters_ == nullptr) return;
    counters_->holds.fetch_add(1, std::memory_order_relaxed);
    const auto held = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - since_).count();
    const auto us = static_cast<std::uint64_t>(held);
    std::uint64_t longest = counters_->longest_hold_us.load(std::memory_order_relaxed);
    while (us > longest && !counters_->longest_hold_us.compare_exchange_weak(longest, us, std::memory_order_relaxed)) {
    }
  }

 private:
  page_gate& gate_;
  page_range pages_;
  read_counters* counters_;
  clock::time_point since_;
};

/// What one look at a chunk found.
struct finding {
  std::error_code ec;            ///< of the system
  std::size_t bytes = 0;
  std::uint64_t bad_pages = 0;
  std::uint64_t first_bad = 0;   ///< page
  verdict what = verdict::good;
  bool ragged = false;           ///< ends within a page
  bool good() const noexcept { return !ec && bad_pages == 0 && !ragged; }
};

class page_source final : public source {
 public:
  page_source(io::random_access_file file, std::string name, std::uint64_t bytes, const page_format& format, page_gate* gate,
              read_policy policy, read_counters* counters)
      : file_(std::move(file)), name_(std::move(name)), bytes_(bytes), format_(format), gate_(gate), policy_(policy),
        counters_(counters) {}

  std::uint64_t bytes() const noexcept override { return bytes_; }
  std::size_t granularity() const noexcept override { return format_.page_bytes(); }
  std::error_code fold(std::uint64_t offset, asio::const_buffer chunk) override {
    delivered_ = offset + chunk.size();
    return {};
  }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override { co_return delivered_; }

  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    const std::size_t page = format_.page_bytes();
    if (offset % page != 0) fail(errc::invalid_parameter, "read pages", name_, offset, "a multiple of " + std::to_string(page));
    if (offset >= bytes_) co_return std::size_t{0};
    const asio::mutable_buffer part(into.data(), static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), bytes_ - offset)));
    const unsigned tries = std::max(policy_.tries, 1U);
    finding found;
    for (unsigned k = 0; k < tries; ++k) {
      if (k != 0) co_await pause(k);   // without a hold: it is bounded by one read
      const bool hold = gate_ != nullptr && (policy_.hold == hold_policy::always || (policy_.hold == hold_policy::on_retry && k != 0));
      const finding seen = co_await look(offset, part, hold);
      found = seen;
      if (found.good()) {
        count(&read_counters::pages, found.bytes / page);
        co_return found.bytes;
      }
      const bool final_answer = found.ec && detail::is_cancelled(found.ec);
      if (final_answer) break;
      count(&read_counters::pages_retried, std::max<std::uint64_t>(found.bad_pages, 1));
    }
    report(found, offset, tries);
  }

 private:
  asio::awaitable<finding> look(std::uint64_t offset, asio::mutable_buffer into, bool hold) {
    const std::size_t page = format_.page_bytes();
    detail::read_result got;
    if (hold) {
      page_range pages;
      pages.first = offset / page;
      pages.count = (into.size() + page - 1) / page;
      co_await gate_->lock(pages);
      const range_hold held(*gate_, pages, counters_);
      const detail::read_result under = co_await detail::read_fully(file_, offset, into);
      got = under;
    } else {
      const detail::read_result plain = co_await detail::read_fully(file_, offset, into);
      got = plain;
    }
    finding out;
    out.ec = got.ec;
    out.bytes = got.bytes - got.bytes % page;
    if (out.ec) co_return out;
    out.ragged = got.bytes % page != 0;
    for (std::size_t at = 0; at < out.bytes; at += page) {
      const std::uint64_t number = (offset + at) / page;
      const verdict v = format_.check(number, asio::const_buffer(static_cast<const char*>(into.data()) + at, page));
      if (v == verdict::good || v == verdict::unwritten) continue;
      if (out.bad_pages++ == 0) {
        out.first_bad = number;
        out.what = v;
      }
    }
    co_return out;
  }

  asio::awaitable<void> pause(unsigned k) {
    auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex);
    timer.expires_after(policy_.pause_step * k);
    co_await timer.async_wait(asio::use_awaitable);
  }

  void count(std::atomic<std::uint64_t> read_counters::*which, std::uint64_t n) noexcept {
    if (counters_ != nullptr) (counters_->*which).fetch_add(n, std::memory_order_relaxed);
  }

  [[noreturn]] void report(const finding& found, std::uint64_t offset, unsigned tries) const {
    if (found.ec) fail(found.ec, "read pages", name_, offset + found.bytes);
    const std::size_t page = format_.page_bytes();
    const std::string after = " after " + std::to_string(tries) + (tries == 1 ? " try" : " tries");
    if (found.bad_pages != 0) {
      const bool misplaced = found.what == verdict::bad_number;
      fail(misplaced ? errc::page_number_mismatch : errc::read_verify_failure, "read page " + std::to_string(found.first_bad), name_,
           found.first_bad * page, misplaced ? "the page of this place" : "a page with a matching checksum",
           (misplaced ? "another page" : "a damaged page") + after);
    }
    fail(errc::read_verify_failure, "read pages", name_, offset + found.bytes, "a whole page of " + std::to_string(page) + " bytes",
         "a file that ends within it" + after);
  }

  io::random_access_file file_;
  std::string name_;
  std::uint64_t bytes_;
  std::uint64_t delivered_ = 0;
  const page_format& format_;
  page_gate* gate_;
  read_policy policy_;
  read_counters* counters_;
};

}  // namespace

std::unique_ptr<source> make_page_source(io::random_access_file file, std::string name, std::uint64_t bytes,
                                         const page_format& format, page_gate* gate, read_policy policy, read_counters* counters) {
  return std::make_unique<page_source>(std::move(file), std::move(name), bytes, format, gate, policy, counters);
}

}  // namespace contrail
