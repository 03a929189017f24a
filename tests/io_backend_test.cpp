#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/simulated_disk.hpp>

#include "support/io_backends.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <optional>

using namespace contrail;
using asio::use_awaitable;

namespace {

/// Sets a variable of the environment for one test.
class scoped_variable {
 public:
  scoped_variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set_variable(name, value);
  }
  ~scoped_variable() {
    set_variable(name_, before_.has_value() ? before_->c_str() : nullptr);
  }
  scoped_variable(const scoped_variable&) = delete;
  scoped_variable& operator=(const scoped_variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

/// Microseconds of the disk's own clock for `reads` reads of a chunk with `depth` of them at once.
std::uint64_t time_for(unsigned depth, unsigned reads) {
  constexpr std::size_t chunk = 4096;
  asio::io_context context;
  io::disk_options disk_options;
  disk_options.least_delay = disk_options.most_delay = std::chrono::milliseconds(5);
  disk_options.patience = 50;
  io::simulated_disk disk(disk_options);
  disk.write_file("/f", pattern_bytes(chunk * reads));
  io::file_system fs = disk.mount(context.get_executor());
  io::buffer_pool pool(context.get_executor(), depth, chunk);
  const io::open_options how;
  auto opened = fs.async_open("/f", how, asio::use_future);
  context.run();
  context.restart();
  io::random_access_file file = opened.get();
  const auto before = disk.now();
  unsigned next = 0;
  unsigned good = 0;
  auto lane = [&]() -> asio::awaitable<void> {
    while (next < reads) {
      const unsigned k = next++;
      io::lease buffer = co_await pool.async_acquire(use_awaitable);
      const std::size_t n = co_await asio::async_read_at(file, k * chunk, buffer.buffer(), use_awaitable);
      if (n == chunk) ++good;
    }
  };
  for (unsigned i = 0; i < depth; ++i) asio::co_spawn(context, lane(), [](std::exception_ptr e) { REQUIRE(!e); });
  context.run();
  REQUIRE(good == reads);
  return static_cast<std::uint64_t>((disk.now() - before).count());
}

}  // namespace

TEST_CASE("io_backend: the probe says what works and why", "[io]") {
  const auto probes = io::probe_backends();
  REQUIRE(probes.size() == 2);
  for (const auto& probe : probes) REQUIRE_FALSE(probe.why.empty());
  const bool denied = std::getenv("CONTRAIL_TEST_NO_URING") != nullptr;
  asio::io_context context;
  const io::file_system fs(context.get_executor());
  if (denied) {
    REQUIRE_FALSE(uring_works());
    REQUIRE(fs.info().kind == io::backend_kind::threads);
    REQUIRE(fs.info().why.find("io_uring_setup") != std::string::npos);
    io::backend_options forced;
    forced.kind = io::backend_kind::uring;
    REQUIRE_THROWS_AS(io::file_system(context.get_executor(), forced), std::system_error);
  } else if (uring_works() && std::getenv("CONTRAIL_IO_BACKEND") == nullptr) {
    REQUIRE(fs.info().kind == io::backend_kind::uring);
  }
}

TEST_CASE("io_backend: option and environment force a backend", "[io]") {
  asio::io_context context;
  {
    const scoped_variable forced("CONTRAIL_IO_BACKEND", "threads");
    const io::file_system fs(context.get_executor());
    REQUIRE(fs.info().kind == io::backend_kind::threads);
    REQUIRE(fs.info().why.find("CONTRAIL_IO_BACKEND=threads") != std::string::npos);
    if (uring_works()) {
      io::backend_options options;
      options.kind = io::backend_kind::uring;
      const io::file_system chosen(context.get_executor(), options);
      REQUIRE(chosen.info().kind == io::backend_kind::uring);
    }
  }
  {
    const scoped_variable nonsense("CONTRAIL_IO_BACKEND", "fast");
    REQUIRE_THROWS_AS(io::file_system(context.get_executor()), std::invalid_argument);
  }
  {
    const scoped_variable automatic("CONTRAIL_IO_BACKEND", "auto");
    REQUIRE_NOTHROW(io::file_system(context.get_executor()));
  }
  io::backend_options absurd;
  absurd.depth = 0;
  REQUIRE_THROWS_AS(io::file_system(context.get_executor(), absurd), std::invalid_argument);
}

TEST_CASE("io_backend: one default file system a context", "[io]") {
  asio::io_context context;
  const io::file_system a = io::file_system::of(context.get_executor());
  const io::file_system b = io::file_system::of(context.get_executor());
  REQUIRE(&a.info() == &b.info());
}

TEST_CASE("io_backend: eight reads at once on a disk of 5 ms are at least six times as fast as one", "[io]") {
  constexpr unsigned reads = 64;
  const std::uint64_t one = time_for(1, reads);
  const std::uint64_t eight = time_for(8, reads);
  REQUIRE(one == reads * 5000);
  REQUIRE(eight * 6 <= one);
}
