#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <sys/resource.h>

/// How long each of many operations took, and what the process used.
namespace latencies {

struct sample {
  std::uint64_t begun = 0, took = 0;   ///< nanoseconds, of the steady clock
};

inline std::uint64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// Rate and latencies of what ended in a window, as fields of a JSON object (without braces).
inline std::string told(std::vector<sample> samples, std::uint64_t begun, std::uint64_t ended) {
  std::erase_if(samples, [&](const sample& s) { return s.begun + s.took < begun || s.begun + s.took >= ended; });
  std::sort(samples.begin(), samples.end(), [](const sample& a, const sample& b) { return a.took < b.took; });
  const auto at = [&](double share) {
    if (samples.empty()) return 0.0;
    const auto i = static_cast<std::size_t>(static_cast<double>(samples.size()) * share);
    return static_cast<double>(samples[std::min(i, samples.size() - 1)].took) / 1e6;
  };
  const double seconds = static_cast<double>(ended - begun) / 1e9;
  char text[400];
  std::snprintf(text, sizeof text, "\"seconds\": %.4f, \"commits\": %zu, \"rate\": %.2f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"worst_ms\": %.4f",
                seconds, samples.size(), static_cast<double>(samples.size()) / seconds, at(0.5), at(0.99), at(1.0));
  return text;
}

/// Largest resident memory of this program in KiB, and its processor seconds.
inline std::string resources() {
  // Not of getrusage: that counts what the process was before its exec().
  std::ifstream status("/proc/self/status");
  unsigned long peak = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) peak = std::strtoul(line.c_str() + 6, nullptr, 10);
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  char text[100];
  std::snprintf(text, sizeof text, "\"peak_kib\": %lu, \"cpu_seconds\": %.3f", peak, seconds(used.ru_utime) + seconds(used.ru_stime));
  return text;
}

}  // namespace latencies
