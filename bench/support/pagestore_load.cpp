#include "pagestore_load.hpp"

#include <contrail/error.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace pagestore_load {

page_no shape::number(std::uint32_t i) const noexcept {
  const std::uint32_t group = 8 * (page_size - 64);   // the first page of each is a map
  return 1 + i / (group - 1) * group + 1 + i % (group - 1);
}

asio::awaitable<void> make(asio::any_io_executor ex, parameters how, shape pages) {
  // Without a log: the end of the instance makes it durable.
  how.logging = false;
  how.growth = 4096;
  instance store = co_await instance::open(ex, how);
  const std::size_t payload = store.payload_bytes();
  std::vector<std::uint64_t> content(payload / 8);
  std::mt19937_64 random(7);
  constexpr std::uint32_t at_once = 512;
  for (const char* const name : {"a.db", "b.db"}) {
    const database d = co_await store.create(name);
    page_no n = 1;
    for (std::uint32_t done = 0; done < pages.pages;) {
      transaction t = store.begin();
      for (std::uint32_t i = 0; i < at_once && done < pages.pages; ++i, ++done) {
        n = co_await t.allocate(d, n);
        if (n != pages.number(done)) throw std::logic_error("pages are not where they are expected");
        for (std::uint64_t& word : content) word = random();
        co_await t.write(d, n, 0, asio::buffer(content));
      }
      const commit_info made = co_await t.commit(durability::lazy);
      static_cast<void>(made);
    }
  }
  co_await store.terminate(term_mode::complete);
}

writers::writers(instance& store, std::vector<database> where, shape pages, task what)
    : store_(store), where_(std::move(where)), pages_(pages), what_(what) {
  samples_.reserve(std::size_t{1} << 20);
}

asio::awaitable<void> writers::one(std::mt19937_64& random) {
  std::array<std::uint64_t, 512> content;
  const std::size_t payload = store_.payload_bytes();
  transaction t = store_.begin();
  for (unsigned i = 0; i < what_.changes; ++i) {
    const page_no n = pages_.number(static_cast<std::uint32_t>(random() % pages_.pages));
    const std::size_t place = random() % (payload / what_.bytes) * what_.bytes;
    for (std::size_t k = 0; k * 8 < what_.bytes; ++k) content[k] = random();
    co_await t.write(where_[i % where_.size()], n, place, asio::buffer(content.data(), what_.bytes));
  }
  const commit_info done = co_await t.commit(what_.how);
  static_cast<void>(done);
}

asio::awaitable<void> writers::run(unsigned number) {
  std::mt19937_64 random(now_ns() + number);
  while (!stop_) {
    sample s;
    s.begun = now_ns();
    bool again = true;
    // A transaction that met another one is done anew, and that time is its own.
    while (again) {
      again = false;
      try {
        co_await one(random);
      } catch (const contrail::error& e) {
        if (e.code() != contrail::errc::write_conflict) throw;
        again = true;
        ++conflicts_;
      }
    }
    s.took = now_ns() - s.begun;
    samples_.push_back(s);
  }
}

void writers::start(asio::any_io_executor ex) {
  running_ = what_.count;
  for (unsigned i = 0; i < what_.count; ++i) {
    auto ended = [this](std::exception_ptr e) {
      --running_;
      if (e && !failure_) failure_ = std::move(e);
      if (failure_) stop_ = true;
    };
    asio::co_spawn(ex, run(i), std::move(ended));
  }
}

asio::awaitable<void> writers::stop() {
  stop_ = true;
  while (running_ != 0) co_await wait_for(0.001);
  if (failure_) std::rethrow_exception(failure_);
}

asio::awaitable<void> read_all(instance& store, std::vector<database> where, shape pages) {
  std::array<char, 8> some;
  for (const database d : where) {
    transaction t = store.begin();
    for (std::uint32_t i = 0; i < pages.pages; ++i) {
      const std::size_t n = co_await t.read(d, pages.number(i), 0, asio::buffer(some));
      static_cast<void>(n);
    }
  }
}

asio::awaitable<void> wait_for(double seconds) {
  const auto ex = co_await asio::this_coro::executor;
  asio::steady_timer pause(ex, std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)));
  co_await pause.async_wait(asio::use_awaitable);
}

void run(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  bool ended = false;
  std::exception_ptr failure;
  auto done = [&](std::exception_ptr e) {
    ended = true;
    failure = std::move(e);
  };
  asio::co_spawn(context, what(context.get_executor()), std::move(done));
  context.run();
  if (failure) std::rethrow_exception(failure);
  if (!ended) throw std::logic_error("the program did not come to its end");
}

}  // namespace pagestore_load
