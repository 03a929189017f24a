#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include "support/io_backends.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/post.hpp>
#include <asio/read_at.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <asio/write_at.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <random>

using namespace contrail;
using asio::use_awaitable;
using io::caching;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);

io::open_options reading(caching cache) {
  io::open_options options;
  options.cache = cache;
  return options;
}

io::open_options writing(caching cache) {
  io::open_options options;
  options.mode = io::access::read_write;
  options.cache = cache;
  options.create = true;
  return options;
}

}  // namespace

TEST_CASE("io_file: what was written is read back, at every alignment", "[io]") {
  const temp_directory dir;
  const std::string bytes = pattern_bytes(300'000);
  for (const backend_case& c : all_backend_cases()) {
    for (const caching cache : {caching::cached, caching::direct}) {
      INFO(c.name << (cache == caching::direct ? ", direct" : ", cached"));
      asio::io_context context;
      const io::file_system files = c.files(context.get_executor());
      const auto path = dir / "f";
      c.remove(path);
      c.provide(dir.path());
      auto body = [&]() -> asio::awaitable<void> {
        io::file_system fs = files;
        const io::open_options how = writing(cache);
        io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
        // Odd offsets, lengths and addresses: head, body and tail of a direct file take different ways.
        std::size_t at = 0;
        for (const std::size_t piece : {std::size_t{1}, std::size_t{4095}, std::size_t{100}, std::size_t{70'001}, std::size_t{0}}) {
          const std::size_t length = piece == 0 ? bytes.size() - at : piece;
          const std::size_t n = co_await asio::async_write_at(file, at, asio::buffer(bytes.data() + at, length), use_awaitable);
          REQUIRE(n == length);
          at += n;
        }
        co_await file.async_sync(use_awaitable);
        const std::uint64_t size = co_await file.async_size(use_awaitable);
        REQUIRE(size == bytes.size());

        std::string back(bytes.size() + 10, '?');
        auto [ec, n] = co_await asio::async_read_at(file, 0, asio::buffer(back), as_result);
        REQUIRE(ec == asio::error::eof);
        REQUIRE(n == bytes.size());
        back.resize(n);
        REQUIRE(back == bytes);
        for (const std::size_t from : {std::size_t{1}, std::size_t{511}, std::size_t{4097}, bytes.size() - 3}) {
          const std::size_t length = std::min<std::size_t>(9'001, bytes.size() - from);
          std::string part(length, '?');
          const std::size_t got = co_await asio::async_read_at(file, from, asio::buffer(part), use_awaitable);
          REQUIRE(got == length);
          REQUIRE(part == bytes.substr(from, length));
        }
        auto [end_ec, end_n] = co_await file.async_read_some_at(bytes.size() + 100'000, asio::buffer(back), as_result);
        REQUIRE(end_ec == asio::error::eof);
        REQUIRE(end_n == 0);
        const std::size_t none = co_await file.async_read_some_at(0, asio::mutable_buffer(), use_awaitable);
        REQUIRE(none == 0);
      };
      run_on(context, c.loop_threads, body);
      REQUIRE(c.get(path) == bytes);
    }
  }
}

TEST_CASE("io_file: many reads at once through a small pool, from several coroutines", "[io]") {
  const temp_directory dir;
  constexpr std::size_t chunk = 64 << 10;
  constexpr std::size_t chunks = 100;
  const std::string bytes = pattern_bytes(chunk * chunks + 1234);
  for (const backend_case& c : all_backend_cases()) {
    c.put(dir / "f", bytes);
    for (const caching cache : {caching::cached, caching::direct}) {
      for (const std::size_t buffers : {std::size_t{1}, std::size_t{5}}) {
        INFO(c.name << ", " << buffers << " buffers");
        asio::io_context context;
        io::file_system fs = c.files(context.get_executor());
        io::buffer_pool pool(context.get_executor(), buffers, chunk);
        std::atomic<std::size_t> next{0};
        std::atomic<std::size_t> seen{0};
        std::atomic<unsigned> lanes_done{0};
        std::atomic<unsigned> wrong{0};
        auto lane = [&](io::random_access_file* file) -> asio::awaitable<void> {
          for (;;) {
            io::lease buffer = co_await pool.async_acquire(use_awaitable);
            const std::size_t k = next++;
            if (k > chunks) break;
            auto [ec, n] = co_await asio::async_read_at(*file, k * chunk, buffer.buffer(), as_result);
            if (ec && ec != asio::error::eof) ++wrong;
            const std::string_view got(static_cast<const char*>(buffer.buffer().data()), n);
            if (got != std::string_view(bytes).substr(k * chunk, chunk)) ++wrong;
            seen += n;
          }
          ++lanes_done;
        };
        const io::open_options how = reading(cache);
        auto opened = fs.async_open(dir / "f", how, asio::use_future);
        context.run();
        context.restart();
        io::random_access_file file = opened.get();
        for (int i = 0; i < 8; ++i) {
          asio::co_spawn(asio::make_strand(context.get_executor()), lane(&file), [&wrong](std::exception_ptr e) {
            if (e) ++wrong;
          });
        }
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < c.loop_threads; ++i) threads.emplace_back([&] { context.run(); });
        for (auto& t : threads) t.join();
        REQUIRE(lanes_done == 8);
        REQUIRE(wrong == 0);
        REQUIRE(seen == bytes.size());
        REQUIRE(pool.free_count() == buffers);
      }
    }
  }
}

TEST_CASE("io_file: callback, future and awaitable tokens; the handler runs on its own executor", "[io]") {
  const temp_directory dir;
  for (const backend_case& c : all_backend_cases()) {
    if (c.short_transfers) continue;
    c.put(dir / "f", "hello, world");
    INFO(c.name);
    asio::io_context context;
    asio::io_context other;
    io::file_system fs = c.files(context.get_executor());
    const io::open_options how = reading(caching::cached);
    std::future<io::random_access_file> opening = fs.async_open(dir / "f", how, asio::use_future);
    context.run();
    context.restart();
    io::random_access_file file = opening.get();
    REQUIRE(file.facts().bytes == 12);
    char text[5] = {};
    bool called = false;
    bool inside = true;
    auto handler = [&](std::error_code ec, std::size_t n) {
      called = true;
      REQUIRE(!ec);
      REQUIRE(n == 5);
      REQUIRE(other.get_executor().running_in_this_thread());
      REQUIRE_FALSE(inside);
    };
    file.async_read_some_at(7, asio::buffer(text), asio::bind_executor(other.get_executor(), handler));
    inside = false;
    // The pending read keeps both loops alive; the handler belongs to the second.
    context.run();
    REQUIRE_FALSE(called);
    other.run();
    REQUIRE(called);
    REQUIRE(std::string(text, 5) == "world");

    io::random_access_file nothing(context.get_executor(), nullptr);
    auto closed = nothing.async_read_some_at(0, asio::buffer(text), asio::use_future);
    context.restart();
    context.run();
    REQUIRE_THROWS_AS(closed.get(), std::system_error);
  }
}

TEST_CASE("io_file: allocate, resize, sync and facts", "[io]") {
  const temp_directory dir;
  for (const backend_case& c : all_backend_cases()) {
    INFO(c.name);
    asio::io_context context;
    io::file_system fs = c.files(context.get_executor());
    const auto path = dir / "g";
    c.remove(path);
    c.provide(dir.path());
    auto body = [&]() -> asio::awaitable<void> {
      io::open_options how = writing(caching::cached);
      how.exclusive = true;
      io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
      REQUIRE(file.facts().mode == (has_rights ? 0600 : file.facts().mode));
      REQUIRE(file.facts().inode != 0);
      co_await file.async_allocate(100'000, use_awaitable);
      const std::uint64_t grown = co_await file.async_size(use_awaitable);
      REQUIRE(grown == 100'000);
      co_await file.async_resize(10, use_awaitable);
      co_await file.async_allocate(0, use_awaitable);
      co_await file.async_sync(use_awaitable);
      const std::uint64_t cut = co_await file.async_size(use_awaitable);
      REQUIRE(cut == 10);
      auto [ec, again] = co_await fs.async_open(path, how, as_result);
      REQUIRE(ec == std::errc::file_exists);
      REQUIRE_FALSE(again.is_open());
    };
    run_on(context, c.loop_threads, body);
    REQUIRE(c.get(path).size() == 10);
  }
}

TEST_CASE("io_file: opening what is not a file is an error at once", "[io]") {
  const temp_directory dir;
  if (has_pipes) make_pipe(dir / "pipe");
  for (const backend_case& c : backend_cases()) {
    INFO(c.name);
    asio::io_context context;
    io::file_system fs(context.get_executor(), c.options);
    auto body = [&]() -> asio::awaitable<void> {
      const io::open_options how = reading(caching::cached);
      auto [missing, f1] = co_await fs.async_open(dir / "nothing", how, as_result);
      REQUIRE(missing == std::errc::no_such_file_or_directory);
      auto [directory, f2] = co_await fs.async_open(dir.path(), how, as_result);
      REQUIRE(directory == std::errc::is_a_directory);
      if (has_pipes) {
        auto [pipe, f3] = co_await fs.async_open(dir / "pipe", how, as_result);
        REQUIRE(pipe == std::errc::invalid_argument);
      }
    };
    run_on(context, c.loop_threads, body);
  }
}

TEST_CASE("io_file: cancellation in all three types, at any moment, loses nothing", "[io]") {
  const temp_directory dir;
  constexpr std::size_t chunk = 64 << 10;
  for (const backend_case& c : all_backend_cases()) {
    c.put(dir / "f", pattern_bytes(chunk * 16));
    INFO(c.name);
    asio::io_context context;
    io::file_system fs = c.files(context.get_executor());
    io::buffer_pool pool(context.get_executor(), 8, chunk);
    const std::size_t descriptors = open_descriptors();
    std::atomic<unsigned> done{0};
    std::atomic<unsigned> cancelled{0};
    constexpr unsigned per_lane = 150;
    auto lane = [&](unsigned seed) -> asio::awaitable<void> {
      const auto ex = co_await asio::this_coro::executor;
      std::mt19937 random(seed);
      const io::open_options how = reading(caching::direct);
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
      for (unsigned k = 0; k < per_lane; ++k) {
        io::lease buffer = co_await pool.async_acquire(use_awaitable);
        asio::cancellation_signal signal;
        bool over = false;
        auto handler = [&](std::error_code ec, std::size_t n) {
          over = true;
          if (!ec && (n == chunk || c.short_transfers)) ++done;
          if (ec == asio::error::operation_aborted) ++cancelled;
        };
        file.async_read_some_at((random() % 16) * chunk, buffer.buffer(),
                                asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(ex, handler)));
        const unsigned turns = random() % 4;
        for (unsigned t = 0; t < turns; ++t) co_await asio::post(ex, use_awaitable);
        static constexpr asio::cancellation_type types[] = {asio::cancellation_type::terminal, asio::cancellation_type::partial,
                                                            asio::cancellation_type::total};
        signal.emit(types[random() % 3]);
        signal.emit(asio::cancellation_type::terminal);
        while (!over) co_await asio::post(ex, use_awaitable);
      }
    };
    std::atomic<unsigned> ended{0};
    for (unsigned i = 0; i < 4; ++i) {
      // On any of the threads: Catch2 is for one of them only.
      asio::co_spawn(asio::make_strand(context.get_executor()), lane(i), [&ended](std::exception_ptr e) {
        if (!e) ++ended;
      });
    }
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < c.loop_threads; ++i) threads.emplace_back([&] { context.run(); });
    for (auto& t : threads) t.join();
    REQUIRE(ended == 4);
    REQUIRE(done + cancelled == 4 * per_lane);
    REQUIRE(pool.free_count() == 8);
    REQUIRE(open_descriptors() == descriptors);
  }
}

TEST_CASE("io_file: a coroutine cancelled in a read ends, and its buffer comes back", "[io]") {
  const temp_directory dir;
  for (const backend_case& c : all_backend_cases()) {
    c.put(dir / "f", pattern_bytes(1 << 20));
    for (int turn = 0; turn < 30; ++turn) {
      INFO(c.name << ", turn " << turn);
      asio::io_context context;
      io::file_system fs = c.files(context.get_executor());
      io::buffer_pool pool(context.get_executor(), 2, 64 << 10);
      asio::cancellation_signal signal;
      bool over = false;
      auto body = [&]() -> asio::awaitable<void> {
        const io::open_options how = reading(caching::cached);
        io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
        for (;;) {
          io::lease buffer = co_await pool.async_acquire(use_awaitable);
          co_await file.async_read_some_at(0, buffer.buffer(), use_awaitable);
        }
      };
      auto handler = [&](std::exception_ptr e) {
        over = true;
        REQUIRE(e);
      };
      const auto strand = asio::make_strand(context.get_executor());
      asio::co_spawn(strand, body(), asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(strand, handler)));
      for (int i = 0; i < turn; ++i) context.run_one();
      asio::post(strand, [&] { signal.emit(asio::cancellation_type::terminal); });
      context.run();
      REQUIRE(over);
      REQUIRE(pool.free_count() == 2);
    }
  }
}

TEST_CASE("io_file: the context dies with transfers in the kernel and coroutines suspended", "[io]") {
  const temp_directory dir;
  constexpr std::size_t chunk = 256 << 10;
  for (const backend_case& c : all_backend_cases()) {
    c.put(dir / "f", pattern_bytes(chunk * 8));
    const std::size_t descriptors = open_descriptors();
    for (int order = 0; order < 3; ++order) {
      for (int round = 0; round < 10; ++round) {
        INFO(c.name << ", order " << order << ", round " << round);
        auto context = std::make_unique<asio::io_context>();
        auto pool = std::make_unique<io::buffer_pool>(context->get_executor(), 8, chunk);
        auto fs = std::make_unique<io::file_system>(c.files(context->get_executor()));
        const io::open_options how = reading(caching::direct);
        auto opened = fs->async_open(dir / "f", how, asio::use_future);
        context->run();
        context->restart();
        auto file = std::make_unique<io::random_access_file>(opened.get());
        auto lane = [](io::random_access_file* f, io::buffer_pool* p, std::uint64_t k) -> asio::awaitable<void> {
          for (;;) {
            io::lease buffer = co_await p->async_acquire(use_awaitable);
            co_await f->async_read_some_at(k * chunk, buffer.buffer(), use_awaitable);
          }
        };
        for (unsigned i = 0; i < 12; ++i) {
          asio::co_spawn(*context, lane(file.get(), pool.get(), i % 8), [](std::exception_ptr) {});
        }
        for (int i = 0; i < round * 3; ++i) context->poll_one();
        if (order == 0) {   // the context first: frames, leases and the kernel's transfers at once
          context.reset();
          REQUIRE(pool->free_count() == 8);
        } else if (order == 1) {   // handles first
          file.reset();
          fs.reset();
          pool.reset();
          context.reset();
        } else {
          fs.reset();
          context.reset();
          file.reset();
          REQUIRE(pool->free_count() == 8);
        }
      }
    }
    REQUIRE(open_descriptors() == descriptors);
  }
}

TEST_CASE("io_file: a lease given up in flight stays the kernel's until the transfer ends", "[io]") {
  const temp_directory dir;
  constexpr std::size_t chunk = 256 << 10;
  for (const backend_case& c : all_backend_cases()) {
    c.put(dir / "f", pattern_bytes(chunk * 8));
    INFO(c.name);
    asio::io_context context;
    io::file_system fs = c.files(context.get_executor());
    io::buffer_pool pool(context.get_executor(), 4, chunk);
    const io::open_options how = reading(caching::direct);
    auto opened = fs.async_open(dir / "f", how, asio::use_future);
    context.run();
    context.restart();
    io::random_access_file file = opened.get();
    unsigned over = 0;
    unsigned early = 0;
    for (unsigned i = 0; i < 4; ++i) {
      io::lease buffer = pool.try_acquire();
      REQUIRE(buffer);
      file.async_read_some_at(i * chunk, buffer.buffer(), [&](std::error_code, std::size_t) {
        if (pool.free_count() == 4 && over < 3) ++early;
        ++over;
      });
    }
    REQUIRE(pool.free_count() == 0);
    file.close();
    context.run();
    REQUIRE(over == 4);
    REQUIRE(pool.free_count() == 4);
  }
}

TEST_CASE("io_file: cached reads do not stall the loop: other work runs between bounded pieces", "[io]") {
  if (!uring_works()) {
    WARN("skipped: io_uring is not available here");
    return;
  }
  const temp_directory dir;
  constexpr std::size_t chunk = 256 << 10;
  write_file(dir / "f", pattern_bytes(chunk * 64));
  asio::io_context context;
  io::backend_options options;
  options.kind = io::backend_kind::uring;
  options.bytes_per_turn = chunk;
  io::file_system fs(context.get_executor(), options);
  io::buffer_pool pool(context.get_executor(), 64, chunk);
  const io::open_options how = reading(caching::cached);
  auto opened = fs.async_open(dir / "f", how, asio::use_future);
  context.run();
  context.restart();
  io::random_access_file file = opened.get();
  unsigned finished = 0;
  std::vector<io::lease> leases;
  for (unsigned i = 0; i < 64; ++i) {
    leases.push_back(pool.try_acquire());
    file.async_read_some_at(i * chunk, leases.back().buffer(), [&](std::error_code ec, std::size_t n) {
      REQUIRE(!ec);
      REQUIRE(n == chunk);
      ++finished;
    });
  }
  // A handler that posts itself again counts how often the loop came round meanwhile; without the bound all 64 are copied in one turn.
  unsigned rounds = 0;
  std::function<void()> tick = [&] {
    ++rounds;
    if (finished < 64) asio::post(context, tick);
  };
  asio::post(context, tick);
  context.run();
  REQUIRE(finished == 64);
  REQUIRE(rounds >= 60);
}

TEST_CASE("io_file: direct files report what was granted", "[io]") {
  const temp_directory dir;
  write_file(dir / "f", pattern_bytes(10'000));
  for (const backend_case& c : backend_cases()) {
    asio::io_context context;
    io::file_system fs(context.get_executor(), c.options);
    auto body = [&]() -> asio::awaitable<void> {
      const io::open_options how = reading(caching::direct);
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
      const io::file_facts facts = file.facts();
      if (facts.cache == caching::direct) {
        REQUIRE(facts.alignment >= 512);
      } else {
        WARN("direct I/O is refused by this file system");
        REQUIRE(facts.alignment == 1);
      }
    };
    run_on(context, c.loop_threads, body);
  }
}
