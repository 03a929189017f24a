// Neutral reads in the request queue, on a driver that answers as systems do which are not at hand.
#include "common/anchor.hpp"
#include "common/driver.hpp"
#include "common/file_state.hpp"
#include "common/request_queue.hpp"

#include <contrail/io/file_system.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::io;
using asio::use_awaitable;

namespace {

struct script {
  std::error_code without_waiting;   ///< the answer to a read that must not wait
  bool resident = true;
  bool hold_syncs = false;
  std::string reads;                 ///< n: without waiting, c: through the cache, d: past it
  std::vector<detail::operation*> syncs;
  detail::driver_host* host = nullptr;
};

class all_or_nothing final : public detail::residency {
 public:
  explicit all_or_nothing(const script& s) : script_(s) {}
  run look(std::uint64_t, std::size_t bytes) noexcept override { return {bytes, script_.resident}; }
  run look_exactly(std::uint64_t, std::size_t bytes) noexcept override { return {bytes, script_.resident}; }

 private:
  const script& script_;
};

class scripted_driver final : public detail::driver {
 public:
  scripted_driver(detail::driver_host& host, script& s) : script_(s) { s.host = &host; }
  bool issue(detail::operation& op) noexcept override {
    op.error.clear();
    op.count = 0;
    if (op.what == detail::request::sync && script_.hold_syncs) {
      script_.syncs.push_back(&op);
      return true;
    }
    if (op.what == detail::request::open) {
      op.file->facts.cache = caching::neutral;
      op.file->facts.alignment = 512;
      op.file->cache = std::make_unique<all_or_nothing>(script_);
    }
    if (op.what == detail::request::read) {
      script_.reads += op.io.nowait ? 'n' : op.io.through_cache ? 'c' : 'd';
      if (op.io.nowait && script_.without_waiting) {
        op.error = script_.without_waiting;
      } else {
        op.count = op.io.bytes;
      }
    }
    issued_.push(&op);
    return true;
  }
  void cancel(detail::operation&) noexcept override {}
  void flush() noexcept override {
    while (detail::operation* op = issued_.pop()) finished_.push(op);
  }
  void reap(detail::operation_list& finished) noexcept override {
    while (detail::operation* op = finished_.pop()) finished.push(op);
    if (script_.hold_syncs) return;
    for (detail::operation* op : script_.syncs) finished.push(op);
    script_.syncs.clear();
  }
  void arm() noexcept override {}
  void disarm() noexcept override {}
  bool copies_inline() const noexcept override { return true; }
  void drain() noexcept override {
    flush();
    script_.hold_syncs = false;
  }
  void detach() noexcept override {}
  void close(detail::file_state&) noexcept override {}

 private:
  script& script_;
  detail::operation_list issued_, finished_;
};

file_system make_files(const asio::any_io_executor& ex, script& s) {
  auto& anchor = detail::anchor::of(ex);
  auto queue = std::make_shared<detail::request_queue>(ex, anchor.pools(), std::size_t{1} << 20);
  queue->attach(std::make_unique<scripted_driver>(*queue, s), {});
  anchor.add(queue);
  return file_system(ex, std::move(queue));
}

/// Two reads of one file, while a sync of it stands still.
std::string two_reads(script& s) {
  asio::io_context context;
  bool ended = false, synced = false;
  alignas(4096) static char memory[4096];
  auto body = [&]() -> asio::awaitable<void> {
    file_system files = make_files(context.get_executor(), s);
    open_options how;
    how.cache = caching::neutral;
    random_access_file file = co_await files.async_open("f", how, use_awaitable);
    s.hold_syncs = true;
    file.async_sync([&](std::error_code) { synced = true; });
    for (int i = 0; i < 2; ++i) {
      const std::size_t n = co_await file.async_read_some_at(0, asio::buffer(memory), use_awaitable);
      REQUIRE(n == sizeof memory);
    }
    CHECK_FALSE(synced);
    s.hold_syncs = false;
    s.host->wake();
    ended = true;
  };
  asio::co_spawn(context, body(), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  context.poll();   // whoever waits for the sync waits for ever
  context.run_for(std::chrono::seconds(0));
  CHECK(ended);
  if (ended) context.run();
  CHECK(synced == ended);
  return s.reads;
}

}  // namespace

TEST_CASE("io_neutral: what is resident is read without waiting", "[io]") {
  script s;
  CHECK(two_reads(s) == "nn");
}

TEST_CASE("io_neutral: what is not there after all is read past the cache, at once, beside an operation that lasts", "[io]") {
  script s;
  s.without_waiting = std::make_error_code(std::errc::resource_unavailable_try_again);
  CHECK(two_reads(s) == "ndnd");
}

TEST_CASE("io_neutral: where no read can be told not to wait, what is resident is still read from the cache", "[io]") {
  script s;
  s.without_waiting = std::make_error_code(std::errc::operation_not_supported);
  CHECK(two_reads(s) == "ncc");
}

TEST_CASE("io_neutral: what is not resident is read past the cache", "[io]") {
  script s;
  s.resident = false;
  CHECK(two_reads(s) == "dd");
}
