#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>

#include "support/io_backends.hpp"
#include "support/posix/page_cache.hpp"
#include "support/posix/posix_locks.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <cstring>

using namespace contrail;
using asio::use_awaitable;
using io::caching;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);
constexpr std::size_t mib = std::size_t{1} << 20;

io::open_options reading(caching cache, bool lock_neutral = false) {
  io::open_options options;
  options.cache = cache;
  options.lock_neutral = lock_neutral;
  return options;
}

/// Reads the file in chunks from front to end and compares.
asio::awaitable<void> read_all(io::file_system files, std::filesystem::path path, io::open_options how, const std::string& expected) {
  io::buffer_pool pool(files.get_executor(), 1, 256 << 10);
  io::random_access_file file = co_await files.async_open(path, how, use_awaitable);
  io::lease buffer = co_await pool.async_acquire(use_awaitable);
  std::uint64_t at = 0;
  bool same = true;
  for (;;) {
    auto [ec, n] = co_await asio::async_read_at(file, at, buffer.buffer(), as_result);
    if (ec && ec != asio::error::eof) throw std::system_error(ec);
    same = same && at + n <= expected.size() && std::memcmp(buffer.buffer().data(), expected.data() + at, n) == 0;
    at += n;
    if (ec) break;
  }
  REQUIRE(same);
  REQUIRE(at == expected.size());
}

}  // namespace

TEST_CASE("io_neutral: what was resident stays, what was not does not become so", "[io]") {
  const temp_directory dir;
  const auto path = dir / "f";
  const std::string bytes = pattern_bytes(64 * mib + 4321);
  write_file(path, bytes);
  if (!evict(path)) {
    WARN("skipped: this file system keeps its files in memory");
    return;
  }
  for (const backend_case& c : each_backend()) {
    for (const bool lock_neutral : {false, true}) {
      for (const double warm : {0.0, 0.5, 1.0}) {
        INFO(c.name << (lock_neutral ? ", lock-neutral" : "") << ", warm " << warm);
        auto measure = [&] {
          residency_change found;
          REQUIRE(evict(path));
          warm_up(path, static_cast<std::uint64_t>(static_cast<double>(bytes.size()) * warm));
          found.before = resident_pages(path);
          const std::uint64_t disk_before = disk_bytes_read();
          asio::io_context context;
          const io::file_system files(context.get_executor(), c.options);
          const io::open_options how = reading(caching::neutral, lock_neutral);
          run_on(context, c.loop_threads, [&] { return read_all(files, path, how, bytes); });
          found.from_disk = disk_bytes_read() - disk_before;
          found.after = resident_pages(path);
          return found;
        };
        auto absent = [](const residency_change& found) { return static_cast<std::uint64_t>(found.before.size() - count_of(found.before)) * 4096; };
        // The rest came from the cache; near a page that is missing a read goes to the disk, so that no read-ahead is set off.
        auto most = [&](const residency_change& found) { return warm == 1.0 ? mib : absent(found) + 24 * mib; };
        const residency_change found = until_undisturbed(measure, [&](const residency_change& f) { return f.kept() && f.from_disk <= most(f); });
        INFO("resident pages before " << count_of(found.before) << ", after " << count_of(found.after));
        CHECK(found.kept());
        CHECK(found.from_disk + 4096 >= absent(found));
        CHECK(found.from_disk <= most(found));
      }
    }
  }
}

TEST_CASE("io_neutral: the test can fail: an ordinary read brings the file into the cache", "[io]") {
  const temp_directory dir;
  const std::string bytes = pattern_bytes(8 * mib);
  write_file(dir / "f", bytes);
  if (!evict(dir / "f")) {
    WARN("skipped: this file system keeps its files in memory");
    return;
  }
  asio::io_context context;
  const io::file_system files(context.get_executor());
  run_on(context, 1, [&] { return read_all(files, dir / "f", reading(caching::cached), bytes); });
  CHECK(count_of(resident_pages(dir / "f")) * 100 > 99 * (8 * mib / 4096));
}

TEST_CASE("io_neutral: scattered pages, odd offsets and a file that changes give the right bytes", "[io]") {
  const temp_directory dir;
  const auto path = dir / "f";
  std::string bytes = pattern_bytes(3 * mib + 1234);
  for (const backend_case& c : each_backend()) {
    write_file(path, bytes);
    evict(path);
    // Every third page resident.
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    char one = 0;
    for (std::size_t page = 0; page * 4096 < bytes.size(); page += 3) REQUIRE(::pread(fd, &one, 1, static_cast<off_t>(page * 4096)) == 1);
    asio::io_context context;
    const io::file_system files(context.get_executor(), c.options);
    auto body = [&]() -> asio::awaitable<void> {
      io::file_system fs = files;
      const io::open_options how = reading(caching::neutral);
      io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
      for (const std::size_t from : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{100'001}, bytes.size() - 7}) {
        const std::size_t length = std::min<std::size_t>(70'003, bytes.size() - from);
        std::string part(length, '?');
        const std::size_t got = co_await asio::async_read_at(file, from, asio::buffer(part), use_awaitable);
        REQUIRE(got == length);
        REQUIRE(part == bytes.substr(from, length));
      }
      // Dirty pages that are not on the disk yet.
      const std::string fresh = pattern_bytes(9'000, 7);
      REQUIRE(::pwrite(fd, fresh.data(), fresh.size(), 500'000) == 9'000);
      std::string part(9'000, '?');
      const std::size_t got = co_await asio::async_read_at(file, 500'000, asio::buffer(part), use_awaitable);
      REQUIRE(got == 9'000);
      REQUIRE(part == fresh);
      // Growth behind what was known at open.
      REQUIRE(::pwrite(fd, fresh.data(), fresh.size(), static_cast<off_t>(bytes.size())) == 9'000);
      const std::size_t more = co_await asio::async_read_at(file, bytes.size(), asio::buffer(part), use_awaitable);
      REQUIRE(more == 9'000);
      REQUIRE(part == fresh);
      // A file that was cut.
      REQUIRE(::ftruncate(fd, 5'000) == 0);
      auto [ec, n] = co_await asio::async_read_at(file, 4'000, asio::buffer(part), as_result);
      REQUIRE(ec == asio::error::eof);
      REQUIRE(n == 1'000);
    };
    run_on(context, c.loop_threads, body);
    ::close(fd);
  }
}

TEST_CASE("io_neutral: the locks of this process survive a lock-neutral open and close", "[io]") {
  const temp_directory dir;
  const auto path = dir / "f";
  const std::string bytes = pattern_bytes(mib);
  write_file(path, bytes);
  for (const backend_case& c : each_backend()) {
    for (const caching cache : {caching::cached, caching::direct, caching::neutral}) {
      INFO(c.name << ", caching " << static_cast<int>(cache));
      const own_lock lock(path);
      REQUIRE(is_locked(path));
      const std::size_t descriptors = open_descriptors();
      {
        asio::io_context context;
        const io::file_system files(context.get_executor(), c.options);
        for (int i = 0; i < 3; ++i) run_on(context, 1, [&] { return read_all(files, path, reading(cache, true), bytes); });
        CHECK(is_locked(path));
        if (files.info().direct_descriptors) CHECK(open_descriptors() <= descriptors + 8);   // those of the context and its ring
      }
      CHECK(is_locked(path));
      if (c.options.kind == io::backend_kind::uring) CHECK(open_descriptors() == descriptors);
      // An ordinary open is what takes the lock away.
      asio::io_context context;
      const io::file_system files(context.get_executor(), c.options);
      run_on(context, 1, [&] { return read_all(files, path, reading(cache), bytes); });
      CHECK_FALSE(is_locked(path));
    }
  }
}

TEST_CASE("io_neutral: kept descriptors are one for each file and go with its last name", "[io]") {
  const temp_directory dir;
  asio::io_context context;
  io::backend_options options;
  options.kind = io::backend_kind::threads;
  const io::file_system files(context.get_executor(), options);
  const std::string bytes = pattern_bytes(10'000);
  write_file(dir / "warm-up", bytes);
  run_on(context, 1, [&] { return read_all(files, dir / "warm-up", reading(caching::neutral, true), bytes); });
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) {
    const auto path = dir / std::to_string(i);
    write_file(path, bytes);
    for (int again = 0; again < 3; ++again) run_on(context, 1, [&] { return read_all(files, path, reading(caching::neutral, true), bytes); });
    CHECK(open_descriptors() <= before + 2);
    std::filesystem::remove(path);
  }
}

TEST_CASE("io_neutral: lock-neutral is for reading, and says what is missing", "[io]") {
  const temp_directory dir;
  write_file(dir / "f", "x");
  for (const backend_case& c : each_backend()) {
    asio::io_context context;
    const io::file_system files(context.get_executor(), c.options);
    const std::size_t descriptors = open_descriptors();
    auto body = [&]() -> asio::awaitable<void> {
      io::file_system fs = files;
      io::open_options how = reading(caching::cached, true);
      auto missing = co_await fs.async_open(dir / "none", how, as_result);
      REQUIRE(std::get<0>(missing) == std::errc::no_such_file_or_directory);
      auto directory = co_await fs.async_open(dir.path(), how, as_result);
      REQUIRE(std::get<0>(directory) == std::errc::is_a_directory);
      how.mode = io::access::read_write;
      auto writing = co_await fs.async_open(dir / "f", how, as_result);
      REQUIRE(std::get<0>(writing) == std::errc::invalid_argument);
      how = reading(caching::neutral, true);
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
      REQUIRE(file.facts().bytes == 1);
      const std::uint64_t size = co_await file.async_size(use_awaitable);
      REQUIRE(size == 1);
      co_await file.async_sync(use_awaitable);
    };
    run_on(context, 1, body);
    if (c.options.kind == io::backend_kind::uring) CHECK(open_descriptors() <= descriptors);
  }
}

TEST_CASE("io_neutral: more lock-neutral files at once than the ring's table has places", "[io]") {
  const temp_directory dir;
  for (const backend_case& c : each_backend()) {
    asio::io_context context;
    const io::file_system files(context.get_executor(), c.options);
    auto body = [&]() -> asio::awaitable<void> {
      io::file_system fs = files;
      std::vector<io::random_access_file> open;
      for (int i = 0; i < 80; ++i) {
        const auto path = dir / std::to_string(i);
        write_file(path, std::to_string(i));
        const io::open_options how = reading(caching::neutral, true);
        io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
        open.push_back(std::move(file));
      }
      for (std::size_t i = 0; i < open.size(); ++i) {
        std::string text(10, ' ');
        auto [ec, n] = co_await open[i].async_read_some_at(0, asio::buffer(text), as_result);
        REQUIRE_FALSE(ec);
        text.resize(n);
        REQUIRE(text == std::to_string(i));
      }
    };
    run_on(context, 1, body);
  }
}
