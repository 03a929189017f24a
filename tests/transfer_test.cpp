#include "format/digest.hpp"
#include "support/memory_sink.hpp"
#include "support/outcome.hpp"
#include "support/run.hpp"
#include "support/synthetic_engine.hpp"
#include "support/temp_directory.hpp"
#include "transfer/rate_limit.hpp"
#include "transfer/transfer.hpp"

#include <contrail/io/buffer_pool.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <string>

using contrail::errc;
using contrail::detail::rate_limiter;
using contrail::detail::run_transfer;
using contrail::detail::transfer_job;
using contrail::detail::transfer_result;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t chunk = 4096;

std::string digest_of(const std::string& bytes) {
  contrail::digest d;
  d.update(asio::buffer(bytes));
  return d.text();
}

/// All that one transfer needs. Shared with the coroutine, as backup() shares it.
struct bench {
  bench(asio::io_context& context, std::size_t buffers) : pool(context.get_executor(), buffers, chunk) {}
  synthetic::world_ptr world = std::make_shared<synthetic::world>();
  memory_sink sink;
  contrail::io::buffer_pool pool;
  rate_limiter pace;
  contrail::progress progress;
  unsigned lanes = 4;
  std::function<void()> check;
  std::unique_ptr<synthetic::pin> pin;
  std::unique_ptr<contrail::set_writer> writer;
  transfer_result result;
};
using bench_ptr = std::shared_ptr<bench>;

asio::awaitable<void> transfer_all(bench_ptr b) {
  const contrail::set_header header;
  std::unique_ptr<contrail::set_writer> writer = co_await b->sink.begin(header);
  b->writer = std::move(writer);
  b->pin = std::make_unique<synthetic::pin>(b->world, &b->progress.reads);
  std::unique_ptr<contrail::file_list> list = co_await b->pin->files(b->world->databases.front().number);
  transfer_job job(b, *b->pin, *b->writer, b->pool, b->pace, b->progress);
  job.lanes = b->lanes;
  job.check = b->check;
  transfer_result result = co_await run_transfer(std::move(job), std::move(list));
  b->result = std::move(result);
  b->pin.reset();
}

void run_all(asio::io_context& context, const bench_ptr& b) {
  run_on(context, 1, [b]() -> asio::awaitable<void> { co_await transfer_all(b); });
}

/// The set holds exactly what the engine's first database holds.
void check_set(const bench& b) {
  const memory_set& set = *b.sink.last;
  CHECK(set.broken_rules.empty());
  std::vector<std::string> order;
  for (const synthetic::file& f : b.world->databases.front().files) {
    if (f.may_vanish && f.open_fails) continue;
    order.push_back(f.name);
    const auto* stored = set.find(f.name);
    REQUIRE(stored != nullptr);
    const std::string body = f.shrinks_to ? f.content.substr(0, *f.shrinks_to) : f.content;
    CHECK(stored->bytes == body + f.trailer);
    REQUIRE(stored->end);
    CHECK(stored->end->bytes == body.size() + f.trailer.size());
    CHECK(stored->end->valid == (f.valid ? *f.valid : body.size() + f.trailer.size()));
    CHECK(stored->end->digest == digest_of(stored->bytes));
  }
  CHECK(set.files.size() == order.size());
}

void check_clean(const bench& b) {
  CHECK(b.pool.free_count() == b.pool.count());
  CHECK(b.world->held == 0);
  CHECK(b.world->reads == 0);
  CHECK(b.world->sources == 0);
}

}  // namespace

TEST_CASE("transfer: every byte in order, with pools and lanes of any size", "[transfer]") {
  const std::size_t buffers = GENERATE(1U, 2U, 8U);
  const unsigned lanes = GENERATE(1U, 4U, 9U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, buffers);
  b->lanes = lanes;
  b->world->read_time = 1ms;
  auto& db = b->world->add_database("db", pattern_bytes(20 * chunk + 77, 1));
  db.files.emplace_back("empty", "");
  db.files.emplace_back("exact", pattern_bytes(3 * chunk, 2));
  db.files.emplace_back("tiny", "x");
  for (unsigned i = 0; i < 12; ++i) db.files.emplace_back("many" + std::to_string(i), pattern_bytes(100 + i * 700, i + 3));
  run_all(context, b);
  check_set(*b);
  check_clean(*b);
  CHECK(b->result.files == 16);
  CHECK(b->progress.bytes_read == b->result.bytes);
  CHECK(b->progress.bytes_accepted == b->result.bytes);
  CHECK(b->progress.bytes_total == b->result.bytes);
  const int together = static_cast<int>(std::min<std::size_t>(lanes, buffers));
  CHECK(b->world->most_reads <= together);
  if (together > 1) CHECK(b->world->most_reads > 1);
}

TEST_CASE("transfer: trailers, with and without room behind the body", "[transfer]") {
  const std::size_t buffers = GENERATE(1U, 3U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, buffers);
  auto& db = b->world->add_database("db", pattern_bytes(2 * chunk + 100));
  db.files[0].trailer = pattern_bytes(512, 5);
  db.files.emplace_back("full", pattern_bytes(2 * chunk));
  db.files.back().trailer = pattern_bytes(chunk, 6);
  db.files.emplace_back("nearly", pattern_bytes(2 * chunk - 10));
  db.files.back().trailer = pattern_bytes(11, 7);
  db.files.emplace_back("only", "");
  db.files.back().trailer = "t";
  db.files.emplace_back("cut", pattern_bytes(chunk));
  db.files.back().valid = 100;
  run_all(context, b);
  check_set(*b);
  check_clean(*b);
}

TEST_CASE("transfer: chunks are multiples of what the source reads", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 3);
  auto& db = b->world->add_database("db", pattern_bytes(1000 * 25));
  db.files[0].granularity = 1000;   // 4 of them fit into a buffer
  run_all(context, b);
  check_set(*b);
  CHECK(b->sink.last->writes == 7);
  db.files[0].granularity = chunk + 1;
  const auto small = std::make_shared<bench>(context, 3);
  small->world = b->world;
  run_all(context, small);
  REQUIRE(small->result.source_failure);
  CHECK_THROWS_WITH(std::rethrow_exception(small->result.source_failure), Catch::Contains("4097 bytes") && Catch::Contains("more memory"));
}

TEST_CASE("transfer: a file that ends early ends there", "[transfer]") {
  const std::size_t shrunk = GENERATE(0U, 100U, 4096U, 9000U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  auto& db = b->world->add_database("db", pattern_bytes(50 * chunk));
  db.files[0].shrinks_to = shrunk;
  db.files[0].trailer = "end";
  db.files.emplace_back("next", pattern_bytes(5000));
  run_all(context, b);
  check_set(*b);
  check_clean(*b);
  CHECK(b->world->most_reads <= 4);
}

TEST_CASE("transfer: directories and links are entries without content", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 2);
  auto& db = b->world->add_database("db", "content");
  db.files.emplace_back("dir", "");
  db.files.back().role = contrail::file_role::directory;
  db.files.back().open_fails = errc::file_invalid_type;   // must not be opened
  run_all(context, b);
  CHECK_FALSE(b->result.source_failure);
  REQUIRE(b->sink.last->find("dir") != nullptr);
  CHECK(b->sink.last->find("dir")->end->digest == digest_of(""));
}

TEST_CASE("transfer: a stalled sink leaves no hold and no read behind", "[transfer]") {
  const std::size_t buffers = GENERATE(1U, 2U, 8U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, buffers);
  b->world->add_database("db", pattern_bytes(40 * chunk));
  b->sink.faults->stall_at_write = 5;
  b->sink.faults->stall = 30ms;
  int held = -1, reads = -1;
  b->sink.faults->after_stall = [&] {
    held = b->world->held;
    reads = b->world->reads;
  };
  run_all(context, b);
  CHECK(held == 0);
  CHECK(reads == 0);
  check_set(*b);
  check_clean(*b);
}

TEST_CASE("transfer: a bad page drops all of its database and goes on", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  auto& db = b->world->add_database("db", pattern_bytes(6 * chunk));
  db.files.emplace_back("second", pattern_bytes(6 * chunk));
  db.files.emplace_back("third", pattern_bytes(6 * chunk));
  std::uint64_t where = 0;
  SECTION("while it is read") {
    where = 3 * chunk + 17;
    db.files[1].fails_at[where] = errc::read_verify_failure;
  }
  SECTION("in the check of the running sum") {
    where = 4 * chunk;
    db.files[1].fold_fails_at[where + 9] = errc::read_verify_failure;
  }
  run_all(context, b);
  REQUIRE(b->result.source_failure);
  try {
    std::rethrow_exception(b->result.source_failure);
  } catch (const contrail::error& e) {
    CHECK(e.code() == errc::read_verify_failure);
    CHECK(e.details().file == "second");
    CHECK(e.details().offset == where);
  }
  CHECK(b->sink.last->files.empty());
  CHECK(b->sink.last->dropped == std::vector<std::string>{"second", "db"});
  CHECK(b->sink.last->broken_rules.empty());
  CHECK(b->result.files == 0);
  check_clean(*b);
}

TEST_CASE("transfer: errors of the source at every step are the source's", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  auto& db = b->world->add_database("db", pattern_bytes(2 * chunk));
  db.files.emplace_back("second", pattern_bytes(chunk));
  errc expected{};
  SECTION("open") { db.files[1].open_fails = expected = errc::file_access_denied; }
  SECTION("finish") { db.files[1].finish_fails = expected = errc::log_read_verify_failure; }
  SECTION("vanished, and that is not allowed") { db.files[1].open_fails = expected = errc::file_vanished; }
  SECTION("unchanged, in a set that cannot refer to its parent") {
    db.files[1].unchanged = true;
    expected = errc::invalid_backup;
  }
  run_all(context, b);
  REQUIRE(b->result.source_failure);
  try {
    std::rethrow_exception(b->result.source_failure);
  } catch (const contrail::error& e) {
    CHECK(e.code() == expected);
    CHECK(e.details().file == "second");
  }
  CHECK(b->sink.last->files.empty());
  check_clean(*b);
}

TEST_CASE("transfer: files that may vanish", "[transfer]") {
  const std::size_t buffers = GENERATE(1U, 4U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, buffers);
  auto& db = b->world->add_database("db", pattern_bytes(2 * chunk));
  db.files.emplace_back("gone at open", pattern_bytes(chunk));
  db.files.back().may_vanish = true;
  db.files.back().open_fails = errc::file_vanished;
  db.files.emplace_back("gone in the middle", pattern_bytes(9 * chunk));
  db.files.back().may_vanish = true;
  db.files.back().fails_at[5 * chunk] = errc::file_vanished;
  db.files.emplace_back("last", pattern_bytes(3 * chunk));
  run_all(context, b);
  CHECK_FALSE(b->result.source_failure);
  CHECK(b->sink.last->dropped == std::vector<std::string>{"gone in the middle"});
  CHECK(b->sink.last->files.size() == 2);
  CHECK(b->sink.last->find("last")->bytes == db.files[3].content);
  CHECK(b->result.files == 2);
  CHECK(b->progress.bytes_accepted == 5 * chunk);
  CHECK(b->sink.last->broken_rules.empty());
  check_clean(*b);
}

TEST_CASE("transfer: a file that starts anew is read again, and what followed keeps its order", "[transfer]") {
  const std::size_t buffers = GENERATE(1U, 2U, 8U);
  const unsigned restarts = GENERATE(1U, 3U);
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, buffers);
  b->lanes = 6;
  auto& db = b->world->add_database("db", pattern_bytes(5 * chunk + 9));
  for (unsigned i = 0; i < 6; ++i) db.files.emplace_back("f" + std::to_string(i), pattern_bytes(i * 1500, i));
  db.files[2].restarts = restarts;
  run_all(context, b);
  CHECK_FALSE(b->result.source_failure);
  check_set(*b);
  check_clean(*b);
  CHECK(b->sink.last->dropped == std::vector<std::string>(restarts, "f1"));
  std::vector<std::string> order{"db", "f0"};
  for (unsigned i = 0; i < restarts; ++i) order.emplace_back("f1");
  for (unsigned i = 1; i < 6; ++i) order.push_back("f" + std::to_string(i));
  CHECK(b->sink.last->order == order);
  CHECK(b->progress.bytes_accepted == b->result.bytes);
  CHECK(b->progress.bytes_total == b->result.bytes);
}

namespace {

/// Lists one file, takes its time over the rest, fails, and would say "end" if it were asked again.
class failing_list final : public contrail::file_list {
 public:
  explicit failing_list(std::unique_ptr<contrail::file_list> first) : first_(std::move(first)) {}
  asio::awaitable<std::vector<contrail::file_info>> next() override {
    if (calls_++ == 0) {
      std::vector<contrail::file_info> batch = co_await first_->next();
      co_return batch;
    }
    std::vector<contrail::file_info> none;
    if (calls_ > 2) co_return none;
    auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex, 5ms);
    co_await timer.async_wait(asio::use_awaitable);
    contrail::fail(std::make_error_code(std::errc::io_error), "list files");
  }

 private:
  std::unique_ptr<contrail::file_list> first_;
  int calls_ = 0;
};

}  // namespace

TEST_CASE("transfer: a listing that fails is not forgotten when a file starts anew meanwhile", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  b->world->add_database("db", pattern_bytes(2 * chunk)).files[0].restarts = 1;
  run_on(context, 1, [b]() -> asio::awaitable<void> {
    const contrail::set_header header;
    b->writer = co_await b->sink.begin(header);
    b->pin = std::make_unique<synthetic::pin>(b->world, &b->progress.reads);
    std::unique_ptr<contrail::file_list> first = co_await b->pin->files(b->world->databases.front().number);
    transfer_job job(b, *b->pin, *b->writer, b->pool, b->pace, b->progress);
    job.lanes = 4;
    auto list = std::make_unique<failing_list>(std::move(first));
    transfer_result result = co_await run_transfer(std::move(job), std::move(list));
    b->result = std::move(result);
    b->pin.reset();
  });
  CHECK(b->result.source_failure);
  CHECK(b->result.files == 0);
}

TEST_CASE("transfer: a file that never comes to rest is an error", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  auto& db = b->world->add_database("db", pattern_bytes(5 * chunk));
  db.files[0].restarts = 4;
  run_all(context, b);
  REQUIRE(b->result.source_failure);
  try {
    std::rethrow_exception(b->result.source_failure);
  } catch (const contrail::error& e) {
    CHECK(e.code() == errc::source_restarted);
  }
  CHECK(b->sink.last->dropped.size() == 4);
  check_clean(*b);
}

TEST_CASE("transfer: errors of the sink end the transfer, and nothing else is asked of it", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  auto& db = b->world->add_database("db", pattern_bytes(9 * chunk));
  db.files.emplace_back("second", pattern_bytes(chunk));
  SECTION("open") { b->sink.faults->open = 1; }
  SECTION("write") { b->sink.faults->write = 4; }
  SECTION("close") { b->sink.faults->close = 0; }
  std::error_code ec;
  try {
    run_all(context, b);
  } catch (const std::system_error& e) {
    ec = e.code();
  }
  CHECK(ec == std::errc::no_space_on_device);
  CHECK(b->sink.last->broken_rules.empty());
  CHECK(b->sink.last->dropped.empty());
  check_clean(*b);
}

TEST_CASE("transfer: the session's word stops it before the next chunk", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 4);
  b->world->add_database("db", pattern_bytes(90 * chunk));
  int chunks = 0;
  b->check = [&] {
    if (++chunks > 10) contrail::fail(errc::pin_too_old, "backup");
  };
  std::error_code ec;
  try {
    run_all(context, b);
  } catch (const contrail::error& e) {
    ec = e.code();
  }
  CHECK(ec == errc::pin_too_old);
  CHECK(b->sink.last->writes <= 10);
  check_clean(*b);
}

TEST_CASE("transfer: cancelled at every turn", "[transfer]") {
  int cut_short = 0, finished = 0;
  for (int k = 0; k < 260; ++k) {
    asio::io_context context;
    const auto b = std::make_shared<bench>(context, 3);
    auto& db = b->world->add_database("db", pattern_bytes(8 * chunk));
    db.files.emplace_back("second", pattern_bytes(3 * chunk));
    db.files[0].restarts = k % 2 == 0 ? 0 : 1;
    auto ex = asio::make_strand(context.get_executor());
    asio::cancellation_signal signal;
    bool over = false;
    std::error_code ec;
    auto done = [&](std::exception_ptr e) {
      over = true;
      try {
        if (e) std::rethrow_exception(e);
      } catch (const std::system_error& s) {
        ec = s.code();
      }
    };
    asio::co_spawn(ex, transfer_all(b), asio::bind_cancellation_slot(signal.slot(), std::move(done)));
    for (int i = 0; i < k; ++i) context.run_one();
    asio::post(ex, [&] { signal.emit(asio::cancellation_type::terminal); });
    context.run();
    CHECK(over);
    if (ec) CHECK(ec == asio::error::operation_aborted);
    ++(ec ? cut_short : finished);
    b->pin.reset();
    check_clean(*b);
    CHECK(b->sink.last->broken_rules.empty());
  }
  CHECK(cut_short > 50);
  CHECK(finished > 0);
}

TEST_CASE("transfer: context destroyed at every turn", "[transfer]") {
  for (int k = 0; k < 200; ++k) {
    std::weak_ptr<bench> left;
    synthetic::world_ptr world;
    {
      auto context = std::make_unique<asio::io_context>();
      auto b = std::make_shared<bench>(*context, 3);
      auto& db = b->world->add_database("db", pattern_bytes(8 * chunk));
      db.files.emplace_back("second", pattern_bytes(3 * chunk));
      world = b->world;
      left = b;
      asio::co_spawn(asio::make_strand(context->get_executor()), transfer_all(b), [](std::exception_ptr) {});
      b.reset();
      for (int i = 0; i < k; ++i) context->run_one();
    }
    CHECK(left.expired());
    CHECK(world->idle());
  }
}

TEST_CASE("transfer: pacing is cancellable", "[transfer]") {
  asio::io_context context;
  const auto b = std::make_shared<bench>(context, 3);
  b->world->add_database("db", pattern_bytes(8 * chunk));
  b->pace.set_rate(1);   // more than an hour for the second chunk
  asio::cancellation_signal signal;
  bool over = false, failed = false;
  asio::co_spawn(context, transfer_all(b), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
                   over = true;
                   failed = e != nullptr;
                 }));
  while (b->sink.last->writes == 0) context.run_one();
  while (context.poll_one() != 0) {
  }
  CHECK_FALSE(over);
  CHECK(b->progress.bytes_read == chunk);
  signal.emit(asio::cancellation_type::terminal);
  context.run();
  CHECK(over);
  CHECK(failed);
  b->pin.reset();
  check_clean(*b);
}
