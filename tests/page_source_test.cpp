#include "support/outcome.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/error.hpp>
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/page_source.hpp>
#include <contrail/source.hpp>

#include <asio/cancellation_signal.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

using contrail::errc;
using contrail::hold_policy;
using contrail::verdict;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t page_bytes = 512;

/// A page: its number, then a fill byte, and the sum of all at the end. All zero: never written.
std::string make_page(std::uint64_t number, char fill) {
  std::string page(page_bytes, fill);
  std::memcpy(page.data(), &number, sizeof number);
  std::uint32_t sum = 1;
  for (std::size_t i = 0; i < page_bytes - 4; ++i) sum = sum * 31 + static_cast<unsigned char>(page[i]);
  std::memcpy(page.data() + page_bytes - 4, &sum, sizeof sum);
  return page;
}

class format final : public contrail::page_format {
 public:
  std::uint32_t page_bytes() const noexcept override { return ::page_bytes; }
  verdict check(std::uint64_t page, asio::const_buffer bytes) const noexcept override {
    ++checks;
    const std::string text(static_cast<const char*>(bytes.data()), bytes.size());
    if (heals_after != 0 && page == sick) {
      if (heals_after-- != 0) return verdict::bad_checksum;
    }
    if (text.find_first_not_of('\0') == std::string::npos) return verdict::unwritten;
    std::uint64_t number = 0;
    std::memcpy(&number, text.data(), sizeof number);
    if (make_page(number, text[8]) != text) return verdict::bad_checksum;
    return number == page ? verdict::good : verdict::bad_number;
  }
  mutable int checks = 0;
  mutable unsigned heals_after = 0;   ///< so many looks at page `sick` find it torn
  std::uint64_t sick = 0;
};

class gate final : public contrail::page_gate {
 public:
  asio::awaitable<void> lock(contrail::page_range pages) override {
    const contrail::page_range asked = pages;
    auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex, 1us);
    co_await timer.async_wait(asio::use_awaitable);
    ++locks;
    ++held;
    last = asked;
  }
  void unlock(contrail::page_range pages) noexcept override {
    --held;
    same = same && pages.first == last.first && pages.count == last.count;
  }
  int locks = 0, held = 0;
  bool same = true;
  contrail::page_range last;
};

std::string pages(std::uint64_t count) {
  std::string all;
  for (std::uint64_t i = 0; i < count; ++i) all += make_page(i, static_cast<char>('a' + i % 26));
  return all;
}

struct world {
  temp_directory dir;
  asio::io_context context;
  format pages_are;
  gate interlock;
  contrail::read_counters counters;
  contrail::read_policy policy;
  world() { policy.pause_step = 1ms; }

  asio::awaitable<contrail::io::random_access_file> open() {
    auto fs = contrail::io::file_system::of(context.get_executor());
    contrail::io::open_options options;
    const std::filesystem::path path = dir / "f";
    contrail::io::random_access_file file = co_await fs.async_open(path, options, asio::use_awaitable);
    co_return file;
  }
  asio::awaitable<std::unique_ptr<contrail::source>> source(std::uint64_t bytes) {
    contrail::io::random_access_file file = co_await open();
    co_return contrail::make_page_source(std::move(file), "f", bytes, pages_are, &interlock, policy, &counters);
  }
};

}  // namespace

TEST_CASE("page_source: good pages come out as they are", "[page_source]") {
  world w;
  const std::string all = pages(20);
  write_file(w.dir / "f", all);
  std::string got;
  std::uint64_t valid = 0;
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(all.size());
    CHECK(s->bytes() == all.size());
    CHECK(s->granularity() == page_bytes);
    CHECK(s->trailer_bytes() == 0);
    std::string buffer(8 * page_bytes, '\0');
    for (std::uint64_t at = 0;;) {
      const std::size_t n = co_await s->read(at, asio::buffer(buffer));
      if (n == 0) break;
      got.append(buffer, 0, n);
      CHECK_FALSE(s->fold(at, asio::const_buffer(buffer.data(), n)));
      at += n;
    }
    const asio::mutable_buffer nothing;
    const std::uint64_t v = co_await s->finish(nothing);
    valid = v;
  });
  CHECK(got == all);
  CHECK(valid == all.size());
  CHECK(w.counters.pages == 20);
  CHECK(w.counters.pages_retried == 0);
  CHECK(w.interlock.locks == 0);   // the first try goes without a hold
}

TEST_CASE("page_source: when the hold is taken", "[page_source]") {
  world w;
  write_file(w.dir / "f", pages(8));
  w.pages_are.sick = 3;
  const auto [policy, torn, locks] = GENERATE(table<hold_policy, unsigned, int>({
      {hold_policy::always, 0, 1}, {hold_policy::always, 2, 3}, {hold_policy::on_retry, 0, 0}, {hold_policy::on_retry, 2, 2}, {hold_policy::never, 2, 0}}));
  w.policy.hold = policy;
  w.pages_are.heals_after = torn;
  bool ran = false;
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(8 * page_bytes);
    std::string buffer(4 * page_bytes, '\0');
    const std::size_t n = co_await s->read(page_bytes, asio::buffer(buffer));
    CHECK(n == buffer.size());
    CHECK(buffer == pages(8).substr(page_bytes, n));
    ran = true;
  });
  CHECK(ran);
  CHECK(w.interlock.locks == locks);
  CHECK(w.interlock.held == 0);
  CHECK(w.interlock.same);
  CHECK(w.counters.holds == static_cast<std::uint64_t>(locks));
  CHECK(w.counters.pages_retried == torn);
  CHECK(w.counters.pages == 4);
  if (locks != 0) {
    CHECK(w.interlock.last.first == 1);
    CHECK(w.interlock.last.count == 4);
  }
}

TEST_CASE("page_source: damage that stays is named", "[page_source]") {
  world w;
  w.policy.tries = 3;
  std::string all = pages(10);
  errc expected{};
  std::string word;
  SECTION("checksum") {
    all[5 * page_bytes + 100] ^= 1;
    expected = errc::read_verify_failure;
    word = "checksum";
  }
  SECTION("a page of another place") {
    all.replace(5 * page_bytes, page_bytes, make_page(7, 'x'));
    expected = errc::page_number_mismatch;
    word = "another page";
  }
  write_file(w.dir / "f", all);
  bool ran = false;
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(all.size());
    std::string buffer(8 * page_bytes, '\0');
    try {
      const std::size_t n = co_await s->read(2 * page_bytes, asio::buffer(buffer));
      FAIL("read " << n);
    } catch (const contrail::error& e) {
      CHECK(e.code() == expected);
      CHECK(e.details().file == "f");
      CHECK(e.details().offset == std::uint64_t{5 * page_bytes});
      CHECK_THAT(e.what(), Catch::Contains("page 5") && Catch::Contains(word) && Catch::Contains("3 tries"));
      ran = true;
    }
    std::string other(2 * page_bytes, '\0');
    const std::size_t n = co_await s->read(8 * page_bytes, asio::buffer(other));   // the rest can still be read
    CHECK(n == other.size());
  });
  CHECK(ran);
  CHECK(w.counters.pages_retried == 3);
  CHECK(w.interlock.held == 0);
  CHECK(w.interlock.locks == 2);
}

TEST_CASE("page_source: pages that were never written are fine", "[page_source]") {
  world w;
  std::string all = pages(4) + std::string(2 * page_bytes, '\0') + make_page(6, 'z');
  write_file(w.dir / "f", all);
  std::string buffer(7 * page_bytes, 'x');
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(all.size());
    const std::size_t n = co_await s->read(0, asio::buffer(buffer));
    CHECK(n == all.size());
  });
  CHECK(buffer == all);
}

TEST_CASE("page_source: a file that is shorter than it was ends where it ends", "[page_source]") {
  world w;
  write_file(w.dir / "f", pages(5));
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(9 * page_bytes);
    std::string buffer(4 * page_bytes, '\0');
    const std::size_t first = co_await s->read(2 * page_bytes, asio::buffer(buffer));
    CHECK(first == 3 * page_bytes);
    const std::size_t behind = co_await s->read(6 * page_bytes, asio::buffer(buffer));
    CHECK(behind == 0);
    const std::size_t beyond = co_await s->read(9 * page_bytes, asio::buffer(buffer));
    CHECK(beyond == 0);
    const std::error_code odd = co_await outcome_of(s->read(100, asio::buffer(buffer)));
    CHECK(odd == errc::invalid_parameter);
  });
}

TEST_CASE("page_source: a tail that is no page is damage, when it stays", "[page_source]") {
  world w;
  w.policy.tries = 2;
  write_file(w.dir / "f", pages(3) + std::string(100, 'x'));
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    const auto s = co_await w.source(4 * page_bytes);
    std::string buffer(4 * page_bytes, '\0');
    const std::error_code ec = co_await outcome_of(s->read(0, asio::buffer(buffer)));
    CHECK(ec == errc::read_verify_failure);
    const auto bounded = co_await w.source(3 * page_bytes);
    const std::size_t n = co_await bounded->read(0, asio::buffer(buffer));
    CHECK(n == 3 * page_bytes);
  });
}

TEST_CASE("page_source: cancelled in a pause it ends at once and holds nothing", "[page_source]") {
  world w;
  w.policy.pause_step = 1h;
  w.policy.hold = hold_policy::always;
  std::string all = pages(2);
  all[10] ^= 1;
  write_file(w.dir / "f", all);
  asio::cancellation_signal signal;
  std::error_code got;
  int held_in_pause = -1;
  const auto body = [](world* on, std::error_code* out) -> asio::awaitable<void> {
    const auto s = co_await on->source(2 * page_bytes);
    std::string buffer(2 * page_bytes, '\0');
    try {
      const std::size_t n = co_await s->read(0, asio::buffer(buffer));
      static_cast<void>(n);
    } catch (const std::system_error& e) {
      *out = e.code();
    }
  };
  bool ended = false;
  asio::co_spawn(w.context, body(&w, &got), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { ended = true; }));
  while (w.counters.pages_retried == 0) w.context.run_one();
  held_in_pause = w.interlock.held;   // decision D13
  signal.emit(asio::cancellation_type::terminal);
  w.context.run();
  CHECK(ended);
  CHECK(held_in_pause == 0);
  CHECK(got == asio::error::operation_aborted);
  CHECK(w.interlock.held == 0);
}

TEST_CASE("page_source: context destroyed at every turn, the hold is given back", "[page_source]") {
  for (int k = 0; k < 40; ++k) {
    temp_directory dir;
    format pages_are;
    pages_are.sick = 1;
    pages_are.heals_after = 1000;
    gate interlock;
    write_file(dir / "f", pages(4));
    {
      asio::io_context context;
      const auto body = [](asio::any_io_executor ex, std::filesystem::path path, format* f, gate* g) -> asio::awaitable<void> {
        auto fs = contrail::io::file_system::of(ex);
        contrail::io::open_options options;
        contrail::io::random_access_file file = co_await fs.async_open(path, options, asio::use_awaitable);
        contrail::read_policy policy;
        policy.hold = hold_policy::always;
        policy.pause_step = 0ms;
        const auto s = contrail::make_page_source(std::move(file), "f", 4 * page_bytes, *f, g, policy, nullptr);
        std::string buffer(4 * page_bytes, '\0');
        const std::error_code ec = co_await outcome_of(s->read(0, asio::buffer(buffer)));
        static_cast<void>(ec);
      };
      asio::co_spawn(context, body(context.get_executor(), dir / "f", &pages_are, &interlock), [](std::exception_ptr) {});
      for (int i = 0; i < k; ++i) context.run_one();
    }
    CHECK(interlock.held == 0);
  }
}

TEST_CASE("source: memory and plain files", "[page_source]") {
  world w;
  const std::string all = pattern_bytes(10000);
  write_file(w.dir / "f", all);
  run_on(w.context, 1, [&]() -> asio::awaitable<void> {
    contrail::io::random_access_file file = co_await w.open();
    std::vector<std::unique_ptr<contrail::source>> sources;
    sources.push_back(contrail::make_memory_source(all));
    sources.push_back(contrail::make_file_source(std::move(file), all.size()));
    for (const auto& s : sources) {
      CHECK(s->bytes() == all.size());
      std::string got, buffer(4096, '\0');
      for (;;) {
        const std::size_t n = co_await s->read(got.size(), asio::buffer(buffer));
        if (n == 0) break;
        CHECK_FALSE(s->fold(got.size(), asio::const_buffer(buffer.data(), n)));
        got.append(buffer, 0, n);
      }
      CHECK(got == all);
      const asio::mutable_buffer nothing;
      const std::uint64_t valid = co_await s->finish(nothing);
      CHECK(valid == all.size());
    }
    contrail::io::random_access_file again = co_await w.open();
    const auto bounded = contrail::make_file_source(std::move(again), 5000);
    std::string buffer(4096, '\0');
    const std::size_t n = co_await bounded->read(4096, asio::buffer(buffer));
    CHECK(n == 904);
    const std::size_t end = co_await bounded->read(5000, asio::buffer(buffer));
    CHECK(end == 0);
  });
}
