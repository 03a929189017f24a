#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <string>
#include <vector>

// How much of a page store's pages a restore and a proof hold in memory. Pages are what is allocated with an alignment, in this one size.

namespace {

constexpr std::size_t page_bytes = 32768;
std::atomic<std::size_t> held{0}, most_held{0};

void count(std::size_t bytes) noexcept {
  if (bytes != page_bytes) return;
  const std::size_t now = held.fetch_add(bytes) + bytes;
  std::size_t before = most_held.load();
  while (before < now && !most_held.compare_exchange_weak(before, now)) {
  }
}

}  // namespace

// The size stands in front of what is handed out.
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const std::size_t step = std::max(static_cast<std::size_t>(alignment), sizeof(std::size_t));
  auto* const base = static_cast<unsigned char*>(std::aligned_alloc(step, (bytes + step - 1) / step * step + step));
  if (base == nullptr) throw std::bad_alloc();
  *reinterpret_cast<std::size_t*>(base + step - sizeof(std::size_t)) = bytes;
  count(bytes);
  return base + step;
}
void operator delete(void* data, std::align_val_t alignment) noexcept {
  if (data == nullptr) return;
  const std::size_t step = std::max(static_cast<std::size_t>(alignment), sizeof(std::size_t));
  unsigned char* const at = static_cast<unsigned char*>(data);
  if (*reinterpret_cast<const std::size_t*>(at - sizeof(std::size_t)) == page_bytes) held.fetch_sub(page_bytes);
  std::free(at - step);
}
void operator delete(void* data, std::size_t, std::align_val_t alignment) noexcept { operator delete(data, alignment); }

using namespace contrail::pagestore;
namespace fs = std::filesystem;

namespace {

class registry final : public contrail::restorer_registry {
 public:
  explicit registry(asio::any_io_executor ex) : one_(std::move(ex)) {}
  contrail::restorer* find(std::string_view) override { return &one_; }

 private:
  contrail::pagestore_restorer one_;
};

void run(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  run_on(context, 1, [&] { return what(context.get_executor()); });
}

parameters in(const fs::path& directory) {
  parameters how;
  how.directory = directory;
  how.page_size = page_bytes;
  how.log_file_size = std::uint64_t{4} << 20U;
  how.checkpoint_depth = std::uint64_t{256} << 20U;   // all changes stay in the logs
  how.cache_size = 1024;
  return how;
}

}  // namespace

TEST_CASE("pagestore_restore_memory: a restore and a proof of large pages keep to their budget, the least of all", "[pagestore_restore_memory]") {
  temp_directory dir;
  fs::create_directory(dir / "scratch");
  std::vector<page_no> pages;
  const auto text = [](std::size_t i) { return "page " + std::to_string(i) + std::string(20000, static_cast<char>('a' + i % 26)); };
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    const database x = co_await store.create("x.db");
    for (std::size_t i = 0; i < 200; ++i) {
      transaction t = store.begin();
      const page_no n = co_await t.allocate(x);
      const std::string all = text(i);
      co_await t.write(x, n, 0, asio::buffer(all));
      const commit_info ignored = co_await t.commit(durability::lazy);
      static_cast<void>(ignored);
      pages.push_back(n);
    }
    contrail::directory_repository sets(ex, dir / "repo");
    const contrail::backup_options how;
    const contrail::backup_report report = co_await contrail::backup(store.backup_engine(), sets, how);
    CHECK(report.failed_databases.empty());
    co_await store.terminate();
  });
  const std::size_t memory = GENERATE(std::size_t{1} << 20U, std::size_t{4} << 20U);
  CAPTURE(memory);
  REQUIRE(held == 0);
  most_held = 0;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::directory_repository sets(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    contrail::restore_options options;
    options.memory = memory;
    const contrail::restore_report restored = co_await contrail::restore(sets, restorer, dir / "out", options);
    CHECK(restored.files == 1);
  });
  CHECK(most_held > 0);
  CHECK(most_held <= memory);
  most_held = 0;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::directory_repository sets(ex, dir / "repo");
    registry provers(ex);
    const fs::path scratch = dir / "scratch";
    contrail::verify_options options;
    options.memory = memory;
    options.scratch = &scratch;
    const contrail::verify_report proven = co_await contrail::verify(sets, &provers, options);
    CHECK(proven.sets.at(0).proven);
  });
  CHECK(most_held > 0);
  CHECK(most_held <= memory);
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "out"));
    const database x = co_await store.attach("x.db");
    std::size_t right = 0;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::string wanted = text(i);
      std::string found(wanted.size(), '\0');
      transaction t = store.begin();
      const std::size_t count = co_await t.read(x, pages[i], 0, asio::buffer(found));
      if (count == wanted.size() && found == wanted) ++right;
    }
    CHECK(right == pages.size());
    co_await store.terminate();
  });
}
