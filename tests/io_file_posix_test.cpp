#include <contrail/io/file_system.hpp>

#include "support/io_backends.hpp"
#include "support/run.hpp"

#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

using namespace contrail;
using asio::use_awaitable;

TEST_CASE("io_file: where direct I/O is never granted a file is read all the same", "[io]") {
  for (const backend_case& c : backend_cases()) {
    INFO(c.name);
    asio::io_context context;
    io::file_system fs(context.get_executor(), c.options);
    auto body = [&]() -> asio::awaitable<void> {
      io::open_options how;
      how.cache = io::caching::direct;
      io::random_access_file refused = co_await fs.async_open("/proc/self/status", how, use_awaitable);
      REQUIRE(refused.facts().cache == io::caching::cached);
      char text[5] = {};
      const std::size_t n = co_await refused.async_read_some_at(0, asio::buffer(text), use_awaitable);
      REQUIRE(n == 5);
    };
    run_on(context, c.loop_threads, body);
  }
}
