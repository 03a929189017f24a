#include "cli/quantities.hpp"

#include "cli/failure.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace contrail::cli {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return out;
}

struct number {
  std::uint64_t value = 0;
  std::string_view unit;
};

/// Digits and what follows them; nothing when it does not begin with a digit or the digits do not fit.
std::optional<number> split(std::string_view text) {
  number out;
  const auto [rest, ec] = std::from_chars(text.data(), text.data() + text.size(), out.value);
  if (ec != std::errc{}) {
    return std::nullopt;
  }
  out.unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  return out;
}

bool all_digits_before_unit(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

}  // namespace

std::uint64_t parse_size(std::string_view option, std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, unsigned>, 9> units{
      {{"", 0}, {"k", 10}, {"kib", 10}, {"m", 20}, {"mib", 20}, {"g", 30}, {"gib", 30}, {"t", 40}, {"tib", 40}}};
  const auto parts = split(text);
  if (!parts) {
    if (all_digits_before_unit(text)) {
      throw usage_error(fmt::format("{}: {} is too large", option, printable(text)));
    }
    throw usage_error(fmt::format("{}: \"{}\" is not a size", option, printable(text)),
                      "write bytes, or K, M, G, T (powers of 1024), for example 64M");
  }
  const std::string unit = lower(parts->unit);
  for (const auto& [name, shift] : units) {
    if (unit != name) {
      continue;
    }
    if (parts->value > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
      throw usage_error(fmt::format("{}: {} is too large", option, printable(text)));
    }
    return parts->value << shift;
  }
  throw usage_error(fmt::format("{}: \"{}\" is not a size: unknown unit \"{}\"", option, printable(text), printable(parts->unit)),
                    "write bytes, or K, M, G, T (powers of 1024), for example 64M");
}

std::uint64_t parse_limit(std::string_view option, std::string_view text) {
  return text == "none" ? 0 : parse_size(option, text);
}

std::chrono::seconds parse_age(std::string_view option, std::string_view text) {
  constexpr std::string_view advice = "write 90s, 10m, 1h or 2d; none for no limit";
  if (text == "none" || text == "0") {
    return std::chrono::seconds(0);
  }
  const auto parts = split(text);
  if (!parts) {
    if (all_digits_before_unit(text)) {
      throw usage_error(fmt::format("{}: {} is too long", option, printable(text)));
    }
    throw usage_error(fmt::format("{}: \"{}\" is not a duration", option, printable(text)), std::string(advice));
  }
  std::uint64_t factor = 0;
  if (parts->unit == "s") {
    factor = 1;
  } else if (parts->unit == "m") {
    factor = 60;
  } else if (parts->unit == "h") {
    factor = 3600;
  } else if (parts->unit == "d") {
    factor = 86400;
  } else {
    throw usage_error(fmt::format("{}: \"{}\" is not a duration: {}", option, printable(text),
                                  parts->unit.empty() ? std::string("its unit is missing")
                                                      : fmt::format("unknown unit \"{}\"", printable(parts->unit))),
                      std::string(advice));
  }
  // Far beyond any backup, and far from what clocks can add up.
  constexpr std::uint64_t longest = std::uint64_t{100} * 365 * 86400;
  if (parts->value > longest / factor) {
    throw usage_error(fmt::format("{}: {} is too long", option, printable(text)));
  }
  return std::chrono::seconds(static_cast<std::int64_t>(parts->value * factor));
}

std::string show_bytes(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> names{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) {
    return bytes == 1 ? "1 byte" : fmt::format("{} bytes", bytes);
  }
  double value = static_cast<double>(bytes) / 1024;
  std::size_t i = 0;
  while (value >= 1023.95 && i + 1 < names.size()) {
    value /= 1024;
    ++i;
  }
  return fmt::format("{:.1f} {}", value, names[i]);
}

std::string show_seconds(double seconds) {
  if (seconds < 60) {
    return fmt::format("{:.1f} s", seconds < 0 ? 0.0 : seconds);
  }
  if (seconds > 360000000) {
    return "a very long time";
  }
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 3600) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string show_count(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string show_time(std::int64_t unix_nanoseconds) {
  const std::chrono::sys_seconds at{std::chrono::floor<std::chrono::seconds>(std::chrono::nanoseconds(unix_nanoseconds))};
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(at)));
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      c = '?';
    }
  }
  return out;
}

}  // namespace contrail::cli
