#pragma once

#include "test_system.hpp"

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>

#include <exception>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

/// Runs `make()`, a coroutine, on a strand of `context` with `threads` threads until nothing is left to do. Throws what it threw, and
/// when it did not come to its end.
template <typename Make>
void run_on(asio::io_context& context, unsigned threads, Make make) {
  bool ended = false;
  std::exception_ptr failure;
  auto done = [&ended, &failure](std::exception_ptr e) {
    ended = true;
    failure = std::move(e);
  };
  asio::co_spawn(asio::make_strand(context.get_executor()), make(), std::move(done));
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back([&context] { context.run(); });
  context.run();
  for (auto& thread : others) thread.join();
  context.restart();
  if (failure) std::rethrow_exception(failure);
  if (!ended) throw std::logic_error("the coroutine did not come to its end");
}
