#include "cli/pagestore/latencies.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

using contrail::cli::latencies;
using std::chrono::nanoseconds;

TEST_CASE("cli_latencies: quantiles are at most 1/64 above the truth, and never below", "[cli_latencies]") {
  std::mt19937_64 random(7);
  for (const unsigned bits : {4U, 10U, 20U, 36U, 47U}) {
    latencies all;
    std::vector<std::int64_t> values;
    for (unsigned i = 0; i < 3000; ++i) {
      // Of all magnitudes.
      const auto value = static_cast<std::int64_t>((random() & ((std::uint64_t{1} << bits) - 1)) >> (random() % bits));
      values.push_back(value);
      all.add(nanoseconds(value));
    }
    std::sort(values.begin(), values.end());
    CHECK(all.count() == 3000);
    CHECK(all.max().count() == values.back());
    for (const unsigned percent : {1U, 25U, 50U, 90U, 99U, 100U}) {
      const std::int64_t truth = values[values.size() * percent / 100 - 1];
      const std::int64_t told = all.quantile(percent / 100.0).count();
      INFO(bits << " bits, " << percent << " %: " << truth << ", told " << told);
      CHECK(told >= truth);
      CHECK(told <= truth + truth / 64);
    }
  }
}

TEST_CASE("cli_latencies: none, one, and what is beyond all bounds", "[cli_latencies]") {
  latencies none;
  CHECK(none.quantile(0.5).count() == 0);
  CHECK(none.max().count() == 0);
  latencies one;
  one.add(nanoseconds(1234567));
  CHECK(one.quantile(0.01) == nanoseconds(1234567));
  CHECK(one.quantile(1) == nanoseconds(1234567));
  one.add(std::chrono::hours(1000));
  CHECK(one.max() == std::chrono::hours(1000));
  CHECK(one.quantile(1) > std::chrono::hours(35));
  one.add(nanoseconds(-5));
  CHECK(one.quantile(0).count() == 0);
}
