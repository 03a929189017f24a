#include <contrail/io/file_system.hpp>

#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

using namespace contrail;
using asio::use_awaitable;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);

}  // namespace

TEST_CASE("io_names: a lock ends with the process that held it, also by kill -9", "[io]") {
  const temp_directory dir;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    asio::io_context context;
    io::backend_options options;
    options.kind = io::backend_kind::threads;
    io::file_system fs(context.get_executor(), options);
    io::held_lock held;
    fs.async_lock(dir / "lock", [&](std::error_code, io::held_lock lock) { held = std::move(lock); });
    context.run();
    const char answer = held ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  REQUIRE(answer == 'y');
  asio::io_context context;
  io::file_system fs(context.get_executor());
  auto refused = [&]() -> asio::awaitable<void> {
    auto [ec, lock] = co_await fs.async_lock(dir / "lock", as_result);
    REQUIRE(ec == std::errc::resource_unavailable_try_again);
  };
  run_on(context, 1, refused);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  auto granted = [&]() -> asio::awaitable<void> {
    const io::held_lock lock = co_await fs.async_lock(dir / "lock", use_awaitable);
    REQUIRE(lock);
  };
  run_on(context, 1, granted);
  ::close(ready[0]);
  ::close(ready[1]);
}
