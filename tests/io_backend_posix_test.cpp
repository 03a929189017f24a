#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include "support/io_backends.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <cstdio>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace contrail;
using asio::use_awaitable;

TEST_CASE("io_backend: without memory-lock allowance buffers are simply not registered", "[io]") {
  if (!uring_works()) {
    WARN("skipped: io_uring is not available here");
    return;
  }
  const temp_directory dir;
  write_file(dir / "f", pattern_bytes(1 << 20));
  ::chmod(dir.path().c_str(), 0755);
  ::chmod((dir / "f").c_str(), 0644);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // An ordinary user with almost nothing: the ring itself fits on kernels since 5.12, a pool does not.
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 64 << 10;
    ::setrlimit(RLIMIT_MEMLOCK, &limit);
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    int answer = 1;
    try {
      asio::io_context context;
      io::backend_options options;
      options.kind = io::backend_kind::uring;
      options.depth = 8;
      io::file_system fs(context.get_executor(), options);
      io::buffer_pool pool(context.get_executor(), 16, 256 << 10);
      auto body = [&]() -> asio::awaitable<void> {
        io::open_options how;
        how.cache = io::caching::direct;
        io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
        io::lease buffer = co_await pool.async_acquire(use_awaitable);
        const std::size_t n = co_await asio::async_read_at(file, 0, buffer.buffer(), use_awaitable);
        answer = n == 256 << 10 ? 0 : 3;
      };
      run_on(context, 1, body);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child: %s\n", e.what());
      answer = 4;
    }
    ::_exit(answer);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
}
