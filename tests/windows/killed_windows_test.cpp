// What a process leaves behind that is ended from outside, at any moment.
#include <contrail/io/file_names.hpp>
#include <contrail/io/file_system.hpp>

#include "support/cli_program.hpp"
#include "support/repo_place.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <windows.h>

using namespace contrail;
using asio::use_awaitable;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);
constexpr const char* place_variable = "CONTRAIL_TEST_PLACE";

/// This program again, for one of its hidden cases, which works in `place`.
test::program start_child(const std::string& hidden_case, const std::filesystem::path& place) {
  std::array<wchar_t, 1024> self{};
  REQUIRE(::GetModuleFileNameW(nullptr, self.data(), static_cast<DWORD>(self.size())) != 0);
  test::launch how;
  how.environment[place_variable] = place.string();
  return test::program(std::filesystem::path(self.data()).string(), {hidden_case}, how);
}

/// Of a child; none when somebody has asked for its case by hand.
std::filesystem::path given_place() {
  const char* const place = std::getenv(place_variable);
  return place != nullptr ? io::to_path(place) : std::filesystem::path();
}

/// False: the child ended instead.
bool wait_for(const std::filesystem::path& sign, test::program& child) {
  while (!std::filesystem::exists(sign)) {
    if (!child.running()) return false;
    ::Sleep(2);
  }
  return true;
}

void wait_to_be_killed(const std::filesystem::path& sign) {
  write_file(sign, "x");
  ::Sleep(INFINITE);
}

}  // namespace

TEST_CASE("killed_windows: child that holds a lock", "[.child]") {
  const std::filesystem::path place = given_place();
  if (place.empty()) return;
  asio::io_context context;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    io::file_system fs(context.get_executor());
    const io::held_lock held = co_await fs.async_lock(place / "lock", use_awaitable);
    if (held) wait_to_be_killed(place / "ready");
  });
}

TEST_CASE("killed_windows: a lock ends with the process that held it", "[windows]") {
  const temp_directory dir;
  test::program child = start_child("killed_windows: child that holds a lock", dir.path());
  REQUIRE(wait_for(dir / "ready", child));
  asio::io_context context;
  io::file_system fs(context.get_executor());
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    auto [ec, lock] = co_await fs.async_lock(dir / "lock", as_result);
    REQUIRE(ec == std::errc::resource_unavailable_try_again);
  });
  child.kill(9);
  const test::outcome end = child.wait();
  REQUIRE(end.signal == 9);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const io::held_lock lock = co_await fs.async_lock(dir / "lock", use_awaitable);
    REQUIRE(lock);
  });
}

TEST_CASE("killed_windows: child in the middle of a file", "[.child]") {
  const std::filesystem::path place = given_place();
  if (place.empty()) return;
  asio::io_context context;
  directory_repository repo(io::file_system(context.get_executor()), place / "repo");
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    io::buffer_pool pool(context.get_executor(), 4, 65536);
    const set_header header = repo_header();
    auto writer = co_await repo.begin(header);
    const repo_file whole("whole", pattern_bytes(200000));
    co_await repo_put(*writer, pool, whole);
    file_info info;
    info.name = "open";
    const auto id = co_await writer->open(info);
    auto data = co_await pool.async_acquire(use_awaitable);
    co_await writer->write(id, 0, std::move(data), 65536);
    wait_to_be_killed(place / "ready");
  });
}

TEST_CASE("killed_windows: what was killed in the middle of a file is not listed, and the next backup removes it", "[windows]") {
  repo_place p;
  p.back_up(repo_small_set());
  test::program child = start_child("killed_windows: child in the middle of a file", p.dir.path());
  REQUIRE(wait_for(p.dir / "ready", child));
  // It lives: what it writes is nobody else's to remove.
  std::size_t swept = 0;
  p.repo.on_swept = [&](const std::string&) { ++swept; };
  p.back_up(repo_small_set());
  CHECK(swept == 0);
  const std::vector<set_entry> sets = p.list();
  CHECK(sets.size() == 3);
  CHECK(std::count_if(sets.begin(), sets.end(), [](const set_entry& s) { return s.status == set_status::in_progress; }) == 1);
  child.kill(9);
  REQUIRE(child.wait().signal == 9);
  CHECK(p.list().size() == 2);
  CHECK(p.read("latest").size() == 2);
  p.back_up(repo_small_set());
  CHECK(swept == 1);
  CHECK(p.list().size() == 3);
  CHECK(test::names_in(p.dir / "repo").size() == 3);
}

TEST_CASE("killed_windows: child that commits one set after the other", "[.child]") {
  const std::filesystem::path place = given_place();
  if (place.empty()) return;
  asio::io_context context;
  directory_repository repo(io::file_system(context.get_executor()), place / "repo");
  for (bool first = true;; first = false) {
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const std::vector<repo_file> content = repo_small_set();
      const manifest ignored = co_await repo_write(repo, content);
      (void)ignored;
    });
    if (first) write_file(place / "ready", "x");
  }
}

TEST_CASE("killed_windows: whenever a process is killed, each set that is listed is whole, and the next backup works", "[windows]") {
  // The sets take some hundredths of a second each: the moments lie in their copies and in their commits.
  for (const DWORD moment : {0U, 3U, 7U, 12U, 18U, 25U, 33U, 42U}) {
    INFO(moment);
    repo_place p;
    test::program child = start_child("killed_windows: child that commits one set after the other", p.dir.path());
    REQUIRE(wait_for(p.dir / "ready", child));
    ::Sleep(moment);
    child.kill(9);
    REQUIRE(child.wait().signal == 9);
    const std::size_t before = p.list().size();
    REQUIRE(before >= 1);
    for (const set_entry& set : p.list()) CHECK(p.read(set.set).size() == 2);
    p.back_up(repo_small_set());
    CHECK(p.list().size() == before + 1);
    CHECK(test::names_in(p.dir / "repo").size() == before + 1);
  }
}
