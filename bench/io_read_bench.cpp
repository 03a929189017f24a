// Reading a file from end to end and throwing it away: each backend beside a plain pread loop, through the page cache and past it.
// BM_read/<backend>/<cache>/<chunk KiB>/<depth>. CONTRAIL_BENCH_FILE names the file; otherwise one of 512 MiB is made and removed.
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/co_spawn.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace contrail;
constexpr std::size_t kib = 1024;

/// The file that all benchmarks read, warm in the page cache.
class bench_file {
 public:
  bench_file() {
    if (const char* given = std::getenv("CONTRAIL_BENCH_FILE")) {
      path_ = given;
    } else {
      path_ = std::filesystem::current_path() / "contrail-io-bench.tmp";
      made_ = true;
      const int fd = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
      std::vector<char> block(1024 * kib);
      for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 31);
      for (int i = 0; i < 512; ++i) {
        if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) std::abort();
      }
      ::fsync(fd);
      ::close(fd);
    }
    bytes_ = std::filesystem::file_size(path_);
  }
  ~bench_file() {
    if (made_) std::filesystem::remove(path_);
  }
  bench_file(const bench_file&) = delete;
  bench_file& operator=(const bench_file&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  std::uint64_t bytes_ = 0;
  bool made_ = false;
};

bench_file& the_file() {
  static bench_file file;
  return file;
}

asio::awaitable<void> lane(io::random_access_file& file, io::buffer_pool& pool, std::uint64_t& next, std::size_t chunk,
                           std::uint64_t& total) {
  for (;;) {
    io::lease buffer = co_await pool.async_acquire(asio::use_awaitable);
    const std::uint64_t at = next;
    next += chunk;
    const asio::mutable_buffer into = asio::buffer(buffer.buffer(), chunk);
    auto [ec, n] = co_await file.async_read_some_at(at, into, asio::experimental::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    total += n;
  }
}

void BM_read(benchmark::State& state, io::backend_kind backend, io::caching cache, std::size_t chunk, unsigned depth) {
  asio::io_context context;
  io::backend_options options;
  options.kind = backend;
  io::file_system files(context.get_executor(), options);
  io::buffer_pool pool(context.get_executor(), depth, chunk);
  io::open_options how;
  how.cache = cache;
  auto opened = files.async_open(the_file().path(), how, asio::use_future);
  context.run();
  io::random_access_file file = opened.get();
  std::uint64_t total = 0;
  for (auto step : state) {
    (void)step;
    std::uint64_t next = 0;
    context.restart();
    for (unsigned i = 0; i < depth; ++i) {
      asio::co_spawn(context, lane(file, pool, next, chunk, total), [](std::exception_ptr e) {
        if (e) std::abort();
      });
    }
    context.run();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(total));
}

void BM_pread(benchmark::State& state, bool direct, std::size_t chunk) {
  const int fd = ::open(the_file().path().c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
  if (fd < 0) {
    state.SkipWithError("open");
    return;
  }
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(4096, chunk), &std::free);
  std::uint64_t total = 0;
  for (auto step : state) {
    (void)step;
    for (off_t at = 0;;) {
      const ssize_t n = ::pread(fd, memory.get(), chunk, at);
      if (n <= 0) break;
      at += n;
      total += static_cast<std::uint64_t>(n);
    }
  }
  ::close(fd);
  state.SetBytesProcessed(static_cast<std::int64_t>(total));
}

int register_all() {
  for (const auto cache : {io::caching::cached, io::caching::direct}) {
    const std::string where = cache == io::caching::direct ? "direct" : "cached";
    for (const std::size_t chunk : {std::size_t{256}, std::size_t{1024}}) {
      benchmark::RegisterBenchmark(("BM_pread/loop/" + where + "/" + std::to_string(chunk) + "/1").c_str(), BM_pread,
                                   cache == io::caching::direct, chunk * kib)
          ->UseRealTime();
    }
    for (const auto& probe : io::probe_backends()) {
      if (!probe.available) continue;
      for (const unsigned depth : {1U, 8U}) {
        const std::string name = "BM_read/" + std::string(io::to_string(probe.kind)) + "/" + where + "/256/" + std::to_string(depth);
        benchmark::RegisterBenchmark(name.c_str(), BM_read, probe.kind, cache, 256 * kib, depth)->UseRealTime();
      }
    }
  }
  return 0;
}

const int registered = register_all();

}  // namespace
