#pragma once

#include "latencies.hpp"

#include <contrail/engines/pagestore.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <vector>

/// Writers of a pagestore as coroutines, and how long each of their commits took.
namespace pagestore_load {

using namespace contrail::pagestore;

using latencies::now_ns;
using latencies::sample;

/// Two databases of so many data pages each.
struct shape {
  std::uint32_t page_size = 4096;
  std::uint32_t pages = 0;
  /// The i-th data page of a database that was filled from its front.
  page_no number(std::uint32_t i) const noexcept;
};

/// "a.db" and "b.db" below `how.directory`, filled with random bytes.
asio::awaitable<void> make(asio::any_io_executor ex, parameters how, shape pages);

class writers {
 public:
  struct task {
    unsigned count = 1;
    unsigned changes = 2;        ///< pages of a transaction, over both databases in turn
    std::size_t bytes = 100;     ///< of each of them
    durability how = durability::durable;
  };
  writers(instance& store, std::vector<database> where, shape pages, task what);
  void start(asio::any_io_executor ex);
  /// Ends them and waits; throws what one of them threw.
  asio::awaitable<void> stop();
  const std::vector<sample>& samples() const noexcept { return samples_; }
  std::uint64_t conflicts() const noexcept { return conflicts_; }

 private:
  asio::awaitable<void> run(unsigned number);
  asio::awaitable<void> one(std::mt19937_64& random);

  instance& store_;
  std::vector<database> where_;
  shape pages_;
  task what_;
  std::vector<sample> samples_;
  std::uint64_t conflicts_ = 0;
  unsigned running_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
};

/// Reads every page once, so that none has to be read later.
asio::awaitable<void> read_all(instance& store, std::vector<database> where, shape pages);

asio::awaitable<void> wait_for(double seconds);

/// Runs a coroutine to its end on a context of its own; throws what it threw.
void run(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what);

}  // namespace pagestore_load
