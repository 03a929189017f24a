#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace contrail::cli {

/// Sizes as people write them: bytes, or K, M, G, T and KiB, MiB, GiB, TiB: powers of 1024, in either case. Throws `usage_error`, which
/// names `option`, for everything else: signs, fractions, other units, and what does not fit into 64 bits.
std::uint64_t parse_size(std::string_view option, std::string_view text);
/// As parse_size, and "none" or 0 for no limit (0).
std::uint64_t parse_limit(std::string_view option, std::string_view text);
/// 90s, 10m, 1h, 2d; "none" or 0 for no limit. A bare number is refused: nobody knows whether it means minutes.
std::chrono::seconds parse_age(std::string_view option, std::string_view text);

/// "512 bytes", "12.3 MiB".
std::string show_bytes(std::uint64_t bytes);
/// "0.4 s", "75 s", "12 min 05 s", "3 h 20 min".
std::string show_seconds(double seconds);
/// "1 file", "3 files".
std::string show_count(std::uint64_t count, std::string_view one, std::string_view many);
/// UTC, ISO 8601, whole seconds: "2026-11-23T10:15:00Z".
std::string show_time(std::int64_t unix_nanoseconds);
/// Control characters replaced, so that a name from a set cannot play with the terminal.
std::string printable(std::string_view text);

}  // namespace contrail::cli
