// As io_read_bench, with Asio's own asio::random_access_file on io_uring: a program of its own, for Asio has that file only when all of it
// is compiled with ASIO_HAS_IO_URING. Nothing of Contrail is linked.
#include "reading.hpp"

#include <asio/buffer.hpp>
#include <asio/random_access_file.hpp>

#include <fcntl.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace {

using bench::before;
using bench::kib;
using memory = std::unique_ptr<void, decltype(&std::free)>;

/// Callbacks, which cost least.
struct lane {
  asio::random_access_file& file;
  bench::loop_clock& clock;
  std::uint64_t& next;
  std::uint64_t& total;
  unsigned& running;
  std::size_t chunk;
  memory buffer;

  void step() {
    const std::uint64_t at = next;
    next += chunk;
    file.async_read_some_at(at, asio::buffer(buffer.get(), chunk), [this](std::error_code ec, std::size_t n) {
      if (ec || n == 0) {
        if (--running == 0) clock.stop();
        return;
      }
      bench::check(buffer.get(), n);
      total += n;
      step();
    });
  }
};

void BM_asio(benchmark::State& state, bool direct, before cache, std::size_t chunk, unsigned depth) {
  asio::io_context context(1);
  asio::random_access_file file(context);
  file.assign(::open(bench::the_file().path().c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0)));
  bench::loop_clock clock(context);
  bench::measure(state, cache, [&] {
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    unsigned running = 0;
    context.restart();
    clock.start();
    std::vector<std::unique_ptr<lane>> lanes;
    for (unsigned i = 0; i < depth; ++i) {
      memory buffer(std::aligned_alloc(4096, chunk), &std::free);
      lanes.push_back(std::unique_ptr<lane>(new lane{file, clock, next, total, running, chunk, std::move(buffer)}));
      ++running;
    }
    for (auto& one : lanes) one->step();
    context.run();
    return total;
  });
  clock.report(state);
}

template <typename... Arguments>
void add(const std::string& name, Arguments... arguments) {
  benchmark::RegisterBenchmark(name.c_str(), arguments...)->UseRealTime()->Unit(benchmark::kMillisecond);
}

int register_all() {
  for (const unsigned depth : {1U, 8U}) {
    add(bench::name("asio-file", "cached", before::warm, 256 * kib, depth), BM_asio, false, before::warm, 256 * kib, depth);
    add(bench::name("asio-file", "cached", before::cold, 256 * kib, depth), BM_asio, false, before::cold, 256 * kib, depth);
    add(bench::name("asio-file", "direct", before::cold, 256 * kib, depth), BM_asio, true, before::cold, 256 * kib, depth);
  }
  return 0;
}

const int registered = register_all();

}  // namespace

BENCHMARK_MAIN();
