#include "cli/quantities.hpp"

#include "cli/failure.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace contrail::cli;

TEST_CASE("cli_quantities: sizes are powers of 1024", "[cli_quantities]") {
  const std::vector<std::pair<std::string, std::uint64_t>> good{
      {"0", 0},           {"1", 1},           {"512", 512},           {"1k", 1024},      {"1K", 1024},        {"1KiB", 1024},
      {"1kib", 1024},     {"64M", 64u << 20}, {"64MiB", 64u << 20},   {"2G", 2ull << 30}, {"2GiB", 2ull << 30}, {"3T", 3ull << 40},
      {"3TiB", 3ull << 40}, {"007", 7},       {"16777215T", 16777215ull << 40}, {"18446744073709551615", ~0ull}};
  for (const auto& [text, bytes] : good) {
    INFO(text);
    CHECK(parse_size("--memory", text) == bytes);
  }
}

TEST_CASE("cli_quantities: what is no size is refused, and the option is named", "[cli_quantities]") {
  for (const std::string text : {"", " ", "M", "-1", "+1", "-5M", "1.5G", "1,5G", "1 M", " 1M", "1M ", "10x", "1MB", "1KB", "1kb", "1P", "0x10", "1e3",
                                 "64Mi", "M64", "1M1", "\n", "nan", "18446744073709551616", "16777216T", "99999999999999999999K", "none"}) {
    INFO(text);
    CHECK_THROWS_AS(parse_size("--memory", text), usage_error);
    CHECK_THROWS_WITH(parse_size("--memory", text), Catch::Matchers::StartsWith("--memory: "));
  }
  CHECK_THROWS_WITH(parse_size("--memory", "16777216T"), Catch::Matchers::Contains("too large"));
  CHECK_THROWS_WITH(parse_size("--memory", "99999999999999999999"), Catch::Matchers::Contains("too large"));
  CHECK_THROWS_WITH(parse_size("--memory", "10x"), Catch::Matchers::Contains("unknown unit \"x\""));
  CHECK_THROWS_WITH(parse_size("--memory", "1\x1b[2J"), !Catch::Matchers::Contains("\x1b"));
}

TEST_CASE("cli_quantities: a limit may be none", "[cli_quantities]") {
  CHECK(parse_limit("--rate-limit", "none") == 0);
  CHECK(parse_limit("--rate-limit", "0") == 0);
  CHECK(parse_limit("--rate-limit", "100M") == 100u << 20);
  CHECK_THROWS_AS(parse_limit("--rate-limit", "no"), usage_error);
  CHECK_THROWS_AS(parse_limit("--rate-limit", "-1"), usage_error);
}

TEST_CASE("cli_quantities: durations carry their unit", "[cli_quantities]") {
  using std::chrono::seconds;
  CHECK(parse_age("--max-pin-age", "90s") == seconds(90));
  CHECK(parse_age("--max-pin-age", "10m") == seconds(600));
  CHECK(parse_age("--max-pin-age", "1h") == seconds(3600));
  CHECK(parse_age("--max-pin-age", "2d") == seconds(172800));
  CHECK(parse_age("--max-pin-age", "none") == seconds(0));
  CHECK(parse_age("--max-pin-age", "0") == seconds(0));
  for (const std::string text : {"", "60", "-1h", "1.5h", "1 h", "h", "1H", "1min", "1w", "1hh", "never", "99999999999999999999s", "99999999999999d"}) {
    INFO(text);
    CHECK_THROWS_AS(parse_age("--max-pin-age", text), usage_error);
    CHECK_THROWS_WITH(parse_age("--max-pin-age", text), Catch::Matchers::StartsWith("--max-pin-age: "));
  }
}

TEST_CASE("cli_quantities: what people read", "[cli_quantities]") {
  CHECK(show_bytes(0) == "0 bytes");
  CHECK(show_bytes(1) == "1 byte");
  CHECK(show_bytes(1023) == "1023 bytes");
  CHECK(show_bytes(1024) == "1.0 KiB");
  CHECK(show_bytes(1536) == "1.5 KiB");
  CHECK(show_bytes((1u << 20) - 1) == "1.0 MiB");
  CHECK(show_bytes(5ull << 40) == "5.0 TiB");
  CHECK(show_bytes(~0ull) == "16384.0 PiB");
  CHECK(show_seconds(0.44) == "0.4 s");
  CHECK(show_seconds(75) == "1 min 15 s");
  CHECK(show_seconds(59.99) == "60.0 s");
  CHECK(show_seconds(7320) == "2 h 02 min");
  CHECK(show_seconds(-1) == "0.0 s");
  CHECK(show_count(1, "file", "files") == "1 file");
  CHECK(show_count(0, "file", "files") == "0 files");
  CHECK(show_time(1763892900000000000) == "2025-11-23T10:15:00Z");
  CHECK(printable("a\x1b[2Jb\nc\x7f") == "a?[2Jb?c?");
  CHECK(printable("B\xc3\xa4r") == "B\xc3\xa4r");
}
