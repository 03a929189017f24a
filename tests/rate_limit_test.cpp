#include "transfer/rate_limit.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>

using contrail::detail::rate_limiter;
using namespace std::chrono_literals;

TEST_CASE("rate limit: bytes are spread over time", "[rate_limit]") {
  rate_limiter limit;
  const auto t0 = rate_limiter::clock::time_point(1000s);
  CHECK(limit.reserve(1 << 30, t0) == 0ns);   // no limit
  limit.set_rate(1000);
  CHECK(limit.reserve(500, t0) == 0ns);
  CHECK(limit.reserve(500, t0) == 500ms);
  CHECK(limit.reserve(2000, t0) == 1s);
  CHECK(limit.reserve(1, t0 + 1s) == 2s);
  SECTION("what was not used may be caught up for a moment only") {
    const auto later = t0 + 100s;
    CHECK(limit.reserve(100, later) == 0ns);   // the slack: 100 ms
    CHECK(limit.reserve(100, later) == 0ns);
    CHECK(limit.reserve(100, later) == 100ms);
  }
  SECTION("a file of many terabytes does not overflow") {
    limit.set_rate(3);
    const auto wait = limit.reserve(1, t0 + 50s);
    CHECK(wait == 0ns);
    CHECK(limit.reserve(std::uint64_t{1} << 32, t0 + 50s) < 1s);
    CHECK(limit.reserve(1, t0 + 50s) > 1'000'000'000s);
  }
  SECTION("a new rate holds from then on") {
    limit.set_rate(1'000'000);
    const auto wait = limit.reserve(1000, t0 + 10s);
    CHECK(wait == 0ns);
    CHECK(limit.reserve(1000, t0 + 10s) == 0ns);
  }
}
