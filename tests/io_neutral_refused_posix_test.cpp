// Lock-neutral and neutral files where the file system has no direct transfers, though it lets them be asked for: this program says so in
// its place.
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

#include <sys/syscall.h>

namespace {
bool asked = false;
}

extern "C" int statx(int directory, const char* path, int flags, unsigned mask, struct statx* facts) noexcept {
  const auto result = ::syscall(SYS_statx, directory, path, flags, mask, facts);
  if (result == 0 && (mask & STATX_DIOALIGN) != 0) {
    asked = true;
    facts->stx_mask |= STATX_DIOALIGN;
    facts->stx_dio_mem_align = facts->stx_dio_offset_align = 0;
  }
  return static_cast<int>(result);
}

using namespace contrail;
using asio::use_awaitable;
using io::caching;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

asio::awaitable<void> read_all(io::file_system files, std::filesystem::path path, io::open_options how, const std::string& expected) {
  io::random_access_file file = co_await files.async_open(path, how, use_awaitable);
  REQUIRE(file.facts().alignment == 1);
  std::string found(expected.size(), '?');
  const std::size_t n = co_await asio::async_read_at(file, 0, asio::buffer(found), use_awaitable);
  REQUIRE(n == expected.size());
  REQUIRE(found == expected);
}

}  // namespace

TEST_CASE("io_neutral: without direct transfers the locks of this process survive too", "[io]") {
  const temp_directory dir;
  const std::string bytes = pattern_bytes(mib);
  int number = 0;
  for (const backend_case& c : each_backend()) {
    for (const caching cache : {caching::direct, caching::neutral}) {
      INFO(c.name << ", caching " << static_cast<int>(cache));
      const auto path = dir / std::to_string(++number);   // a file that nobody has opened before
      write_file(path, bytes);
      const own_lock lock(path);
      asio::io_context context;
      const io::file_system files(context.get_executor(), c.options);
      io::open_options how;
      how.cache = cache;
      how.lock_neutral = true;
      asked = false;
      run_on(context, 1, [&] { return read_all(files, path, how, bytes); });
      CHECK(asked);
      CHECK(is_locked(path));
    }
  }
}

TEST_CASE("io_neutral: without direct transfers what a read brought in goes again, and nothing else", "[io]") {
  const temp_directory dir;
  const auto path = dir / "f";
  const std::string bytes = pattern_bytes(16 * mib + 777);
  write_file(path, bytes);
  if (!evict(path)) {
    WARN("skipped: this file system keeps its files in memory");
    return;
  }
  for (const backend_case& c : each_backend()) {
    for (const std::string how_warm : {"cold", "half", "warm", "holes"}) {
      INFO(c.name << ", " << how_warm);
      auto measure = [&] {
        residency_change found;
        REQUIRE(evict(path));
        if (how_warm == "half") warm_up(path, 8 * mib);
        if (how_warm == "warm") warm_up(path, bytes.size());
        if (how_warm == "holes") {
          warm_up(path, bytes.size());
          const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
          for (off_t page = 100; page < 4000; page += 200) ::posix_fadvise(fd, page * 4096, 64 * 4096, POSIX_FADV_DONTNEED);
          ::close(fd);
        }
        found.before = resident_pages(path);
        asio::io_context context;
        const io::file_system files(context.get_executor(), c.options);
        io::open_options how;
        how.cache = caching::neutral;
        run_on(context, c.loop_threads, [&] { return read_all(files, path, how, bytes); });
        found.after = resident_pages(path);
        return found;
      };
      auto lost = [](const residency_change& found) {
        std::size_t n = 0;
        for (std::size_t i = 0; i < found.before.size(); ++i) n += found.before[i] && !found.after[i] ? 1U : 0U;
        return n;
      };
      const residency_change found = until_undisturbed(measure, [](const residency_change& f) { return f.kept(); });
      INFO("resident pages before " << count_of(found.before) << ", after " << count_of(found.after));
      CHECK(lost(found) * 100 <= found.before.size());
      CHECK(found.kept());
    }
  }
}
