// The request queue on a driver that answers as systems do which are not at hand.
#include "common/anchor.hpp"
#include "common/driver.hpp"
#include "common/file_state.hpp"
#include "common/request_queue.hpp"

#include <contrail/io/file_system.hpp>

#include "support/run.hpp"

#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <limits>
#include <string>
#include <system_error>
#include <vector>

using namespace contrail::io;
using asio::use_awaitable;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);
constexpr std::size_t bytes_per_turn = std::size_t{1} << 20;
constexpr unsigned for_ever = std::numeric_limits<unsigned>::max();

struct script {
  unsigned aborts = 0;     ///< so many times a request comes back cancelled, though nobody asked for it
  unsigned issued = 0;     ///< transfers and syncs
  unsigned give_up = 200;  ///< a queue that asks more often would ask for ever; it gets another error
  bool direct = false;
  bool writes_inline = false;
  std::vector<unsigned> per_turn;   ///< transfers and syncs
};

class scripted_driver final : public detail::driver {
 public:
  explicit scripted_driver(script& s) : script_(s) {}
  bool issue(detail::operation& op) noexcept override {
    op.error.clear();
    op.count = 0;
    if (op.what == detail::request::open) {
      if (script_.direct) op.file->facts.cache = caching::direct;
      if (script_.direct) op.file->facts.alignment = 512;
    } else {
      ++this_turn_;
      if (++script_.issued >= script_.give_up) {
        op.error = std::make_error_code(std::errc::timed_out);
      } else if (script_.aborts != 0) {
        if (script_.aborts != for_ever) --script_.aborts;
        op.error = asio::error::operation_aborted;
      } else if (op.what != detail::request::sync) {
        op.count = op.io.bytes;
      }
    }
    done_.push(&op);
    return true;
  }
  void cancel(detail::operation&) noexcept override {}
  void flush() noexcept override {
    if (this_turn_ != 0) script_.per_turn.push_back(this_turn_);
    this_turn_ = 0;
  }
  void reap(detail::operation_list& finished) noexcept override {
    while (detail::operation* op = done_.pop()) finished.push(op);
  }
  void arm() noexcept override {}
  void disarm() noexcept override {}
  bool copies_inline() const noexcept override { return true; }
  bool writes_inline() const noexcept override { return script_.writes_inline; }
  void drain() noexcept override {}
  void detach() noexcept override {}
  void close(detail::file_state&) noexcept override {}

 private:
  script& script_;
  unsigned this_turn_ = 0;
  detail::operation_list done_;
};

file_system make_files(const asio::any_io_executor& ex, script& s) {
  auto& anchor = detail::anchor::of(ex);
  auto queue = std::make_shared<detail::request_queue>(ex, anchor.pools(), bytes_per_turn);
  queue->attach(std::make_unique<scripted_driver>(s), {});
  anchor.add(queue);
  return file_system(ex, std::move(queue));
}

/// Runs `body(file)` on a file of the scripted driver.
template <typename Body>
void with_file(script& s, Body body) {
  asio::io_context context;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    file_system files = make_files(context.get_executor(), s);
    open_options how;
    how.mode = access::read_write;
    random_access_file file = co_await files.async_open("f", how, use_awaitable);
    co_await body(file);
  });
}

}  // namespace

TEST_CASE("io_queue: a request that the system dropped, though nobody asked for it, is made again", "[io]") {
  script s;
  s.aborts = 3;
  with_file(s, [&](random_access_file& file) -> asio::awaitable<void> {
    std::string memory(512, ' ');
    const std::size_t n = co_await file.async_read_some_at(0, asio::buffer(memory), use_awaitable);
    CHECK(n == 512);
    CHECK(s.issued == 4);
    s.aborts = 3;
    co_await file.async_sync(use_awaitable);
    CHECK(s.issued == 8);
  });
}

TEST_CASE("io_queue: one that the system drops each time ends with an error that says so", "[io]") {
  script s;
  s.aborts = for_ever;
  with_file(s, [&](random_access_file& file) -> asio::awaitable<void> {
    std::string memory(512, ' ');
    auto [ec, n] = co_await file.async_read_some_at(0, asio::buffer(memory), as_result);
    CHECK(ec == std::errc::io_error);
    CHECK(ec != asio::error::operation_aborted);   // that would be the caller's own
    CHECK(ec.message().find("nobody asked") != std::string::npos);
    CHECK(n == 0);
    CHECK(s.issued < 20);
    s.issued = 0;
    auto [failed] = co_await file.async_sync(as_result);
    CHECK(failed == std::errc::io_error);
    CHECK(s.issued < 20);
    // Each request has its own tries.
    s.issued = 0;
    s.aborts = 8;
    const std::size_t read = co_await file.async_read_some_at(0, asio::buffer(memory), use_awaitable);
    CHECK(read == 512);
    CHECK(s.issued == 9);
  });
}

// A direct write keeps its alignment: it goes whole, and what it exceeds the bound by is not lent to the next one.
TEST_CASE("io_queue: writes that last inside the call get a turn's bytes, direct ones too", "[io]") {
  alignas(4096) static char memory[3 * bytes_per_turn / 2];
  const auto turns = [](bool last_inside, bool read) {
    script s;
    s.direct = true;
    s.writes_inline = last_inside;
    int ended = 0;
    with_file(s, [&](random_access_file& file) -> asio::awaitable<void> {
      for (int i = 0; i < 3; ++i) {
        const auto done = [&ended](std::error_code ec, std::size_t n) {
          CHECK_FALSE(ec);
          CHECK(n == sizeof memory);
          ++ended;
        };
        if (read) {
          file.async_read_some_at(0, asio::buffer(memory), done);
        } else {
          file.async_write_some_at(0, asio::buffer(memory), done);
        }
      }
      co_await file.async_sync(use_awaitable);
    });
    CHECK(ended == 3);
    return s.per_turn;
  };
  CHECK(turns(true, false) == std::vector<unsigned>{1, 1, 2});   // the last with the sync
  CHECK(turns(false, false) == std::vector<unsigned>{4});
  CHECK(turns(true, true) == std::vector<unsigned>{4});
}
