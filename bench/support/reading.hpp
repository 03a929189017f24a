#pragma once

// What every reading benchmark shares, with and without Contrail: the file, its state in the page cache, the check of each chunk, a clock
// for the event loop, and the counters. Uses the Asio that the including program is configured for.

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <benchmark/benchmark.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bench {

inline constexpr std::size_t kib = 1024;

/// CONTRAIL_BENCH_FILE, or one of CONTRAIL_BENCH_MIB (512) that is made and removed.
class file {
 public:
  file() {
    if (const char* given = std::getenv("CONTRAIL_BENCH_FILE")) {
      path_ = given;
    } else {
      const char* mib = std::getenv("CONTRAIL_BENCH_MIB");
      make(mib != nullptr ? std::atoi(mib) : 512);
    }
    bytes_ = std::filesystem::file_size(path_);
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() {
    std::error_code ignored;
    if (made_) std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void make(int mib) {
    path_ = std::filesystem::current_path() / ("contrail-io-bench-" + std::to_string(::getpid()) + ".tmp");
    made_ = true;
    const int fd = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    std::vector<char> block(1024 * kib);
    std::uint64_t x = 1;
    for (char& c : block) c = static_cast<char>((x = x * 6364136223846793005ULL + 1442695040888963407ULL) >> 56);
    for (int i = 0; i < mib; ++i) {
      if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) std::abort();
    }
    ::fsync(fd);
    ::close(fd);
  }

  std::filesystem::path path_;
  std::uint64_t bytes_ = 0;
  bool made_ = false;
};

inline file& the_file() {
  static file one;
  return one;
}

/// What the page cache holds before each round.
enum class before { warm, cold };

inline void prepare(before state) {
  const int fd = ::open(the_file().path().c_str(), O_RDONLY | O_CLOEXEC);
  if (state == before::cold) {
    ::fsync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  } else {
    std::vector<char> block(1024 * kib);
    while (::read(fd, block.data(), block.size()) > 0) {
    }
  }
  ::close(fd);
}

/// One digest per chunk, for all alike.
inline void check(const void* data, std::size_t bytes) {
  benchmark::DoNotOptimize(XXH3_128bits(data, bytes));
}

/// How late a timer of one millisecond comes on the loop that does the work, or that waits for those who do.
class loop_clock {
 public:
  explicit loop_clock(asio::io_context& context) : timer_(context) {}
  void start() {
    running_ = true;
    arm();
  }
  void stop() {
    running_ = false;
    timer_.cancel();
  }
  void report(benchmark::State& state) {
    if (late_.empty()) late_.push_back(0);
    std::sort(late_.begin(), late_.end());
    state.counters["late_max_ms"] = late_.back();
    state.counters["late_p999_ms"] = late_[std::min(late_.size() - 1, late_.size() * 999 / 1000)];
  }

 private:
  void arm() {
    timer_.expires_after(std::chrono::milliseconds(1));
    timer_.async_wait([this](std::error_code ec) {
      if (ec || !running_) return;
      late_.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - timer_.expiry()).count());
      arm();
    });
  }
  asio::steady_timer timer_;
  std::vector<double> late_;
  bool running_ = false;
};

/// Of the whole process, the system's helpers for it included.
inline double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// The loop of every benchmark: `round` reads the whole file once and returns the bytes.
template <typename Round>
void measure(benchmark::State& state, before cache, Round round) {
  std::uint64_t total = 0;
  double cpu = 0;
  for (auto step : state) {
    (void)step;
    state.PauseTiming();
    prepare(cache);
    const double from = cpu_seconds();
    state.ResumeTiming();
    total += round();
    state.PauseTiming();
    cpu += cpu_seconds() - from;
    state.ResumeTiming();
  }
  if (total == 0 || total % the_file().bytes() != 0) state.SkipWithError("not the whole file was read");
  state.SetBytesProcessed(static_cast<std::int64_t>(total));
  state.counters["cpu_s_per_GiB"] = total == 0 ? 0 : cpu / (static_cast<double>(total) / (1024.0 * 1024.0 * 1024.0));
}

/// BM_read/<who>/<cached, direct, neutral>/<warm, cold>/<chunk KiB>/<depth>
inline std::string name(const std::string& who, std::string_view how, before cache, std::size_t chunk, unsigned depth) {
  return "BM_read/" + who + "/" + std::string(how) + "/" + (cache == before::cold ? "cold" : "warm") + "/" + std::to_string(chunk / kib) +
         "/" + std::to_string(depth);
}

}  // namespace bench
