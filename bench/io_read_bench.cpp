// Reading a file from end to end, checking each chunk (XXH3) and throwing it away: each backend beside a plain pread loop and two threads
// that pread. BM_read/<who>/<cached, direct, neutral>/<warm, cold: the page cache before>/<chunk KiB>/<depth>. Counters: CPU seconds per
// GiB, and how late a timer of 1 ms comes on the event loop. asio_read_bench reads the same way with Asio's own file.
#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include "support/reading.hpp"

#include <asio/co_spawn.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <system_error>
#include <thread>

namespace {

using namespace contrail;
using bench::before;
using bench::kib;

struct reading {
  std::uint64_t next = 0;
  std::uint64_t total = 0;
  unsigned running = 0;
};

asio::awaitable<void> lane(io::random_access_file& file, io::buffer_pool& pool, reading& shared, std::size_t chunk) {
  for (;;) {
    io::lease buffer = co_await pool.async_acquire(asio::use_awaitable);
    const std::uint64_t at = shared.next;
    shared.next += chunk;
    // "Some" may be less: a neutral read ends where the page cache does.
    std::size_t got = 0;
    while (got < chunk) {
      const asio::mutable_buffer rest = asio::buffer(buffer.buffer(), chunk) + got;
      auto [ec, n] = co_await file.async_read_some_at(at + got, rest, asio::experimental::as_tuple(asio::use_awaitable));
      if (ec && ec != asio::error::eof) throw std::system_error(ec);
      if (ec || n == 0) break;
      got += n;
    }
    if (got == 0) co_return;
    bench::check(buffer.buffer().data(), got);
    shared.total += got;
  }
}

void BM_contrail(benchmark::State& state, io::backend_kind backend, io::caching how, before cache, std::size_t chunk, unsigned depth) {
  asio::io_context context(1);
  io::backend_options options;
  options.kind = backend;
  io::file_system files(context.get_executor(), options);
  io::buffer_pool pool(context.get_executor(), depth, chunk);
  io::open_options opening;
  opening.cache = how;
  auto opened = files.async_open(bench::the_file().path(), opening, asio::use_future);
  context.run();
  io::random_access_file file = opened.get();
  bench::loop_clock clock(context);
  bench::measure(state, cache, [&] {
    reading shared;
    context.restart();
    clock.start();
    for (unsigned i = 0; i < depth; ++i) {
      ++shared.running;
      asio::co_spawn(context, lane(file, pool, shared, chunk), [&](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
        if (--shared.running == 0) clock.stop();
      });
    }
    context.run();
    return shared.total;
  });
  clock.report(state);
}

int open_plainly(bool direct) {
  return ::open(bench::the_file().path().c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
}

using memory = std::unique_ptr<void, decltype(&std::free)>;
memory aligned(std::size_t bytes) {
  return memory(std::aligned_alloc(4096, bytes), &std::free);
}

/// One chunk per turn of the event loop: what a server would do that calls pread() itself.
void BM_loop(benchmark::State& state, bool direct, before cache, std::size_t chunk) {
  asio::io_context context(1);
  const int fd = open_plainly(direct);
  const memory buffer = aligned(chunk);
  bench::loop_clock clock(context);
  std::uint64_t at = 0;
  const std::function<void()> step = [&] {
    const ssize_t n = ::pread(fd, buffer.get(), chunk, static_cast<off_t>(at));
    if (n <= 0) {
      clock.stop();
      return;
    }
    bench::check(buffer.get(), static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
    asio::post(context, step);
  };
  bench::measure(state, cache, [&] {
    at = 0;
    context.restart();
    clock.start();
    asio::post(context, step);
    context.run();
    return at;
  });
  clock.report(state);
  ::close(fd);
}

/// Two threads take chunk after chunk; the event loop has nothing to do but its timer.
void BM_two_threads(benchmark::State& state, bool direct, before cache, std::size_t chunk) {
  asio::io_context context(1);
  const int fd = open_plainly(direct);
  bench::loop_clock clock(context);
  bench::measure(state, cache, [&] {
    std::atomic<std::uint64_t> next{0};
    std::atomic<std::uint64_t> total{0};
    std::atomic<int> running{2};
    context.restart();
    auto work = asio::make_work_guard(context);
    clock.start();
    const auto reader = [&] {
      const memory buffer = aligned(chunk);
      for (;;) {
        const std::uint64_t at = next.fetch_add(chunk);
        const ssize_t n = ::pread(fd, buffer.get(), chunk, static_cast<off_t>(at));
        if (n <= 0) break;
        bench::check(buffer.get(), static_cast<std::size_t>(n));
        total += static_cast<std::uint64_t>(n);
      }
      if (--running == 0) {
        asio::post(context, [&] {
          clock.stop();
          work.reset();
        });
      }
    };
    std::thread first(reader), second(reader);
    context.run();
    first.join();
    second.join();
    return total.load();
  });
  clock.report(state);
  ::close(fd);
}

template <typename... Arguments>
void add(const std::string& name, Arguments... arguments) {
  benchmark::RegisterBenchmark(name.c_str(), arguments...)->UseRealTime()->Unit(benchmark::kMillisecond);
}

int register_all() {
  struct setting {
    const char* name;
    io::caching how;
    before cache;
  };
  const setting settings[] = {{"cached", io::caching::cached, before::warm},   {"cached", io::caching::cached, before::cold},
                              {"direct", io::caching::direct, before::cold},   {"neutral", io::caching::neutral, before::warm},
                              {"neutral", io::caching::neutral, before::cold}};
  for (const setting& s : settings) {
    if (s.how != io::caching::neutral) {
      const bool direct = s.how == io::caching::direct;
      for (const std::size_t chunk : {256 * kib, 1024 * kib}) add(bench::name("pread", s.name, s.cache, chunk, 1), BM_loop, direct, s.cache, chunk);
      add(bench::name("two-threads", s.name, s.cache, 256 * kib, 2), BM_two_threads, direct, s.cache, 256 * kib);
    }
    for (const auto& probe : io::probe_backends()) {
      if (!probe.available) continue;
      for (const unsigned depth : {1U, 8U}) {
        add(bench::name("contrail-" + std::string(io::to_string(probe.kind)), s.name, s.cache, 256 * kib, depth), BM_contrail, probe.kind, s.how,
            s.cache, 256 * kib, depth);
      }
    }
  }
  return 0;
}

const int registered = register_all();

}  // namespace

BENCHMARK_MAIN();
