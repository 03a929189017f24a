#include <contrail/io/file_identity.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/kept_descriptors.hpp>

#include "async/file_calls.hpp"
#include "support/io_backends.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"
#include "windows/errors.hpp"
#include "windows/handle.hpp"
#include "windows/names.hpp"
#include "windows/paths.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/read_at.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write_at.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace contrail;
using asio::use_awaitable;
using io::detail::system_path;

namespace {

constexpr auto as_result = asio::experimental::as_tuple(use_awaitable);

io::open_options writing() {
  io::open_options how;
  how.mode = io::access::read_write;
  how.create = true;
  return how;
}

/// Runs `body(file system)` on each backend.
template <typename Body>
void on_each(Body body) {
  for (const backend_case& c : each_backend()) {
    INFO(c.name);
    asio::io_context context;
    const io::file_system files(context.get_executor(), c.options);
    run_on(context, c.loop_threads, [&]() -> asio::awaitable<void> { return body(files); });
  }
}

}  // namespace

TEST_CASE("io_windows: paths become absolute and verbatim", "[io_windows]") {
  const auto here = std::filesystem::current_path();
  const std::wstring prefix = L"\\\\?\\";
  CHECK(system_path("C:/a/b") == prefix + L"C:\\a\\b");
  CHECK(system_path("C:\\a\\..\\b\\.") == prefix + L"C:\\b");
  CHECK(system_path("C:\\") == prefix + L"C:\\");
  CHECK(system_path("C:/a/b/") == prefix + L"C:\\a\\b");
  CHECK(system_path("x") == prefix + (here / "x").make_preferred().native());
  CHECK(system_path(L"\\\\server\\share\\x") == prefix + L"UNC\\server\\share\\x");
  CHECK(system_path(prefix + L"C:\\as\\it is ") == prefix + L"C:\\as\\it is ");
  CHECK(system_path(prefix + L"C:\\d/s\\..\\f\\.") == prefix + L"C:\\d\\f");
  CHECK(system_path(prefix + L"UNC\\server\\share\\a/b") == prefix + L"UNC\\server\\share\\a\\b");
  CHECK(system_path(prefix + L"Volume{1}\\a/..") == prefix + L"Volume{1}\\");
  CHECK(system_path("C:/..") == prefix + L"C:\\");
  CHECK(system_path("C:\\a.\\b") == prefix + L"C:\\a.\\b");
  CHECK_THROWS_AS(system_path("C:\\a\\f:stream"), std::system_error);
  // The last name is taken as it is: no device, nothing cut off.
  CHECK(system_path("C:\\a\\NUL") == prefix + L"C:\\a\\NUL");
  CHECK(system_path("C:\\a\\b. ") == prefix + L"C:\\a\\b. ");
  CHECK_THROWS_AS(system_path(""), std::system_error);
  CHECK_THROWS_AS(system_path("\\\\.\\PhysicalDrive0"), std::system_error);
}

TEST_CASE("io_windows: codes become the conditions that the interface names", "[io_windows]") {
  using io::detail::windows_error;
  CHECK(windows_error(ERROR_FILE_NOT_FOUND) == std::errc::no_such_file_or_directory);
  CHECK(windows_error(ERROR_PATH_NOT_FOUND) == std::errc::no_such_file_or_directory);
  CHECK(windows_error(ERROR_ACCESS_DENIED) == std::errc::permission_denied);
  CHECK(windows_error(ERROR_SHARING_VIOLATION).value() == ERROR_SHARING_VIOLATION);   // the system's own text says more than a condition
  CHECK(windows_error(ERROR_LOCK_VIOLATION) == std::errc::device_or_resource_busy);
  CHECK(windows_error(ERROR_DISK_FULL) == std::errc::no_space_on_device);
  CHECK(windows_error(ERROR_HANDLE_DISK_FULL) == std::errc::no_space_on_device);
  CHECK(windows_error(ERROR_ALREADY_EXISTS) == std::errc::file_exists);
  CHECK(windows_error(ERROR_FILE_EXISTS) == std::errc::file_exists);
  CHECK(windows_error(ERROR_DIR_NOT_EMPTY) == std::errc::directory_not_empty);
  CHECK(windows_error(ERROR_DIRECTORY) == std::errc::not_a_directory);
  CHECK(windows_error(ERROR_NOT_SAME_DEVICE) == std::errc::cross_device_link);
  CHECK(windows_error(ERROR_NOT_ENOUGH_MEMORY) == std::errc::not_enough_memory);
  CHECK(windows_error(ERROR_TOO_MANY_OPEN_FILES) == std::errc::too_many_files_open);
  CHECK(windows_error(ERROR_CRC) == std::errc::io_error);
  CHECK(windows_error(ERROR_NETNAME_DELETED) == std::errc::network_down);
  // No other code is taken for one of these, on which decisions rest.
  for (unsigned long code = 1; code < 16'000; ++code) {
    const std::error_code ec = windows_error(code);
    INFO(code);
    if (ec == std::errc::no_such_file_or_directory) CHECK((code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND));
    if (ec == std::errc::file_exists) CHECK((code == ERROR_FILE_EXISTS || code == ERROR_ALREADY_EXISTS));
    if (ec == std::errc::no_space_on_device) CHECK((code == ERROR_DISK_FULL || code == ERROR_HANDLE_DISK_FULL || code == 1295));
    CHECK(ec != std::errc::resource_unavailable_try_again);
    CHECK(ec != std::errc::interrupted);
  }
}

TEST_CASE("io_windows: names of 300 characters below each other, and in every script", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    std::filesystem::path deep = dir.path();
    for (int i = 0; i < 4; ++i) {
      deep /= io::to_path(std::string(120, static_cast<char>('a' + i)) + "-Zürich-Ж-数据-🗻");
      co_await fs.async_make_directory(deep, use_awaitable);
    }
    REQUIRE(deep.native().size() > 480);
    const auto path = deep / io::to_path("größe. 数据.db");
    {
      const io::open_options how = writing();
      io::random_access_file file = co_await fs.async_open(path, how, use_awaitable);
      co_await asio::async_write_at(file, 0, asio::buffer("12345", 5), use_awaitable);
      co_await file.async_sync(use_awaitable);
    }
    co_await fs.async_rename(path, deep / "2", use_awaitable);
    co_await fs.async_sync_directory(deep, use_awaitable);
    const io::entry found = co_await fs.async_stat(deep / "2", use_awaitable);
    REQUIRE(found.facts.bytes == 5);
    const auto all = co_await fs.async_list(dir.path(), use_awaitable);
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].type == io::entry_type::directory);
    REQUIRE(all[0].name.u8string().ends_with(u8"-Zürich-Ж-数据-🗻"));
    co_await fs.async_remove_all(dir / all[0].name, use_awaitable);
    const auto none = co_await fs.async_list(dir.path(), use_awaitable);
    REQUIRE(none.empty());
  });
}

TEST_CASE("io_windows: others may read, write, rename and remove what is open here", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    const io::open_options how = writing();
    io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
    co_await asio::async_write_at(file, 0, asio::buffer("12345", 5), use_awaitable);
    io::detail::unique_handle other = io::detail::open_existing(system_path(dir / "f"), GENERIC_READ | GENERIC_WRITE | DELETE, 0);
    REQUIRE(other);
    other.reset();
    co_await fs.async_rename(dir / "f", dir / "g", use_awaitable);
    std::string text(5, ' ');
    co_await asio::async_read_at(file, 0, asio::buffer(text), use_awaitable);
    REQUIRE(text == "12345");
    co_await fs.async_remove(dir / "g", use_awaitable);
  });
}

TEST_CASE("io_windows: a file that somebody keeps to himself is an error with its code, and nothing is left of the try", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    {
      const io::detail::unique_handle mine(
          ::CreateFileW(system_path(dir / "f").c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_NEW, 0, nullptr));
      REQUIRE(mine);
      const io::open_options how;
      auto [ec, file] = co_await fs.async_open(dir / "f", how, as_result);
      REQUIRE(ec.value() == ERROR_SHARING_VIOLATION);
      REQUIRE_FALSE(file.is_open());
      auto [removed] = co_await fs.async_remove(dir / "f", as_result);
      REQUIRE(removed);
      // Its facts are told all the same.
      const io::entry found = co_await fs.async_stat(dir / "f", use_awaitable);
      REQUIRE(found.type == io::entry_type::file);
    }
    co_await fs.async_remove(dir / "f", use_awaitable);
  });
}

TEST_CASE("io_windows: the lock of a handle survives a lock-neutral open and close by others, and is mandatory", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    {
      const io::open_options how = writing();
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
      co_await file.async_resize(8192, use_awaitable);
    }
    const io::detail::unique_handle mine = io::detail::open_existing(system_path(dir / "f"), GENERIC_READ | GENERIC_WRITE, 0);
    OVERLAPPED at{};
    at.Offset = 4096;
    REQUIRE(::LockFileEx(mine.get(), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 10, 0, &at) != 0);
    for (int i = 0; i < 2; ++i) {
      io::open_options how;
      how.lock_neutral = true;
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
      std::string text(4096, 'x');
      const std::size_t n = co_await asio::async_read_at(file, 0, asio::buffer(text), use_awaitable);
      REQUIRE(n == 4096);
      auto [ec, count] = co_await file.async_read_some_at(4096, asio::buffer(text), as_result);
      if (ec) {
        REQUIRE(ec == std::errc::device_or_resource_busy);
        REQUIRE(count == 0);
      } else {
        WARN("skipped: this system lets locked bytes be read");
      }
      const io::file_facts facts = file.facts();
      file.close();
      REQUIRE(io::forget_kept_descriptors(facts.device, facts.inode));
    }
    const io::detail::unique_handle other = io::detail::open_existing(system_path(dir / "f"), GENERIC_READ | GENERIC_WRITE, 0);
    REQUIRE(::LockFileEx(other.get(), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 10, 0, &at) == 0);
    REQUIRE(::GetLastError() == ERROR_LOCK_VIOLATION);
  });
}

TEST_CASE("io_windows: a held lock ends with its process's handle and its file can be removed under it", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    for (int i = 0; i < 3; ++i) {
      io::held_lock lock = co_await fs.async_lock(dir / "lock", use_awaitable);
      auto [busy, none] = co_await fs.async_lock(dir / "lock", as_result);
      REQUIRE(busy == std::errc::resource_unavailable_try_again);
      lock.remove_and_release();
      const auto left = co_await fs.async_list(dir.path(), use_awaitable);
      REQUIRE(left.empty());
    }
    auto [ec, none] = co_await fs.async_lock(dir.path(), as_result);
    REQUIRE(ec == std::errc::is_a_directory);
  });
}

TEST_CASE("io_windows: a file that may not be written can be removed, and its rights are told", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    {
      const io::open_options how = writing();
      io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
    }
    REQUIRE(::SetFileAttributesW(system_path(dir / "f").c_str(), FILE_ATTRIBUTE_READONLY) != 0);
    const io::entry found = co_await fs.async_stat(dir / "f", use_awaitable);
    REQUIRE(found.facts.mode == 0400);
    co_await fs.async_remove(dir / "f", use_awaitable);
    auto [gone, entry] = co_await fs.async_stat(dir / "f", as_result);
    REQUIRE(gone == std::errc::no_such_file_or_directory);
  });
}

TEST_CASE("io_windows: what may not be written stays so, under its other names and when it cannot be removed", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    const std::wstring first = system_path(dir / "f");
    const std::wstring second = system_path(dir / "g");
    std::array<wchar_t, 1024> self{};
    REQUIRE(::GetModuleFileNameW(nullptr, self.data(), static_cast<DWORD>(self.size())) != 0);
    REQUIRE(::CopyFileW(self.data(), first.c_str(), TRUE) != 0);
    REQUIRE(::CreateHardLinkW(second.c_str(), first.c_str(), nullptr) != 0);
    REQUIRE(::SetFileAttributesW(first.c_str(), FILE_ATTRIBUTE_READONLY) != 0);
    REQUIRE((::GetFileAttributesW(second.c_str()) & FILE_ATTRIBUTE_READONLY) != 0);
    co_await fs.async_remove(dir / "f", use_awaitable);
    REQUIRE(::GetFileAttributesW(first.c_str()) == INVALID_FILE_ATTRIBUTES);
    REQUIRE((::GetFileAttributesW(second.c_str()) & FILE_ATTRIBUTE_READONLY) != 0);
    {
      // A program that runs cannot be removed.
      const io::detail::unique_handle file = io::detail::open_existing(second, GENERIC_READ | GENERIC_EXECUTE, 0);
      REQUIRE(file);
      const io::detail::unique_handle image(::CreateFileMappingW(file.get(), nullptr, PAGE_READONLY | SEC_IMAGE, 0, 0, nullptr));
      REQUIRE(image);
      void* const view = ::MapViewOfFile(image.get(), FILE_MAP_READ, 0, 0, 0);
      REQUIRE(view != nullptr);
      auto [ec] = co_await fs.async_remove(dir / "g", as_result);
      if (ec) {
        REQUIRE((::GetFileAttributesW(second.c_str()) & FILE_ATTRIBUTE_READONLY) != 0);
      } else {
        WARN("skipped: this system removes programs that run");
      }
      ::UnmapViewOfFile(view);
    }
    auto [ec] = co_await fs.async_remove(dir / "g", as_result);
    REQUIRE((!ec || ec == std::errc::no_such_file_or_directory));
    const auto left = co_await fs.async_list(dir.path(), use_awaitable);
    REQUIRE(left.empty());
  });
}

TEST_CASE("io_windows: two that remove the same tree at the same time both succeed", "[io_windows]") {
  const temp_directory dir;
  for (int round = 0; round < 3; ++round) {
    INFO(round);
    for (int i = 0; i < 6; ++i) {
      const auto inner = dir / "tree" / std::to_string(i);
      std::filesystem::create_directories(inner);
      for (int k = 0; k < 25; ++k) write_file(inner / std::to_string(k), "x");
    }
    std::vector<std::exception_ptr> failures(2);
    std::vector<std::thread> both;
    for (std::exception_ptr& failure : failures) {
      both.emplace_back([&failure, &dir] {
        try {
          asio::io_context context;
          const io::file_system files(context.get_executor());
          run_on(context, 1, [&]() -> asio::awaitable<void> {
            io::file_system fs = files;
            co_await fs.async_remove_all(dir / "tree", use_awaitable);
          });
        } catch (...) {
          failure = std::current_exception();
        }
      });
    }
    for (std::thread& one : both) one.join();
    for (const std::exception_ptr& failure : failures) {
      if (failure) CHECK_NOTHROW(std::rethrow_exception(failure));
    }
    CHECK_FALSE(std::filesystem::exists(dir / "tree"));
  }
}

TEST_CASE("io_windows: another file's short name is neither replaced, written nor removed", "[io_windows]") {
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    const std::string content = "what is there";
    write_file(dir / "a very long name.data", content);
    write_file(dir / "new", "x");
    WIN32_FIND_DATAW found{};
    const HANDLE search = ::FindFirstFileW(system_path(dir / "a very long name.data").c_str(), &found);
    REQUIRE(search != INVALID_HANDLE_VALUE);
    ::FindClose(search);
    if (found.cAlternateFileName[0] == L'\0') {
      WARN("skipped: this file system has no short names");
      co_return;
    }
    const auto alias = dir / std::filesystem::path(found.cAlternateFileName);
    REQUIRE(std::filesystem::exists(alias));
    auto [replaced] = co_await fs.async_rename(dir / "new", alias, as_result);
    CHECK(replaced == std::errc::file_exists);
    CHECK(replaced.message().find("short form") != std::string::npos);
    auto [moved] = co_await fs.async_rename_new(dir / "new", alias, as_result);
    CHECK(moved == std::errc::file_exists);
    io::open_options how = writing();
    auto [opened, file] = co_await fs.async_open(alias, how, as_result);
    CHECK(opened == std::errc::file_exists);
    how.exclusive = true;
    auto [made, none] = co_await fs.async_open(alias, how, as_result);
    CHECK(made == std::errc::file_exists);
    auto [removed] = co_await fs.async_remove(alias, as_result);
    CHECK(removed == std::errc::file_exists);
    auto [all] = co_await fs.async_remove_all(alias, as_result);
    CHECK(all == std::errc::file_exists);
    CHECK(read_file(dir / "a very long name.data") == content);
    // Nor is a directory taken for another.
    std::filesystem::create_directory(dir / "a very long directory.data");
    const HANDLE again = ::FindFirstFileW(system_path(dir / "a very long directory.data").c_str(), &found);
    REQUIRE(again != INVALID_HANDLE_VALUE);
    ::FindClose(again);
    const std::string short_directory = std::filesystem::path(found.cAlternateFileName).string();
    REQUIRE(!short_directory.empty());
    auto [taken] = co_await fs.async_make_directory(dir / short_directory, as_result);
    CHECK(taken == std::errc::file_exists);
    CHECK(taken.message().find("short form") != std::string::npos);
    const std::string below = short_directory + "/f";
    std::string refused;
    try {
      co_await calls::make_parents(fs, dir.path(), below, "make directories", nullptr);
    } catch (const std::system_error& e) {
      refused = e.what();
    }
    CHECK(refused.find("short form") != std::string::npos);
    auto [plain] = co_await fs.async_make_directory(dir / "a very long directory.data", as_result);
    CHECK(plain == std::errc::file_exists);
    const std::string below_long = "a very long directory.data/f";
    co_await calls::make_parents(fs, dir.path(), below_long, "make directories", nullptr);
    // Who names the file that way himself may read it.
    const io::open_options reading;
    io::random_access_file same = co_await fs.async_open(alias, reading, use_awaitable);
    CHECK(same.facts().bytes == content.size());
    same.close();
    // A long name with a tilde is a name like others.
    co_await fs.async_rename(dir / "new", dir / "b~1.db", use_awaitable);
    write_file(dir / "newer", "y");
    co_await fs.async_rename(dir / "newer", dir / "b~1.db", use_awaitable);
    co_await fs.async_remove(dir / "b~1.db", use_awaitable);
  });
}

TEST_CASE("io_windows: identities of 128 bits stay different, and those of 64 are what they were", "[io_windows]") {
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  const auto identity = [](std::uint64_t volume, std::uint64_t upper, std::uint64_t lower) {
    FILE_ID_128 id{};
    const std::array<std::uint64_t, 2> halves{lower, upper};
    std::memcpy(&id, halves.data(), sizeof halves);
    io::file_facts facts;
    facts.device = volume;
    io::detail::take_identity(id, facts);
    return std::pair(facts.device, facts.inode);
  };
  CHECK(identity(7, 0, 12) == std::pair(std::uint64_t{7}, std::uint64_t{12}));
  for (std::uint64_t volume = 1; volume < 4; ++volume) {
    for (std::uint64_t upper = 0; upper < 40; ++upper) {
      for (std::uint64_t lower = 0; lower < 40; ++lower) seen.insert(identity(volume, upper, lower));
    }
  }
  CHECK(seen.size() == std::size_t{3} * 40 * 40);
  // Who opens a file by himself is told the same.
  on_each([](io::file_system fs) -> asio::awaitable<void> {
    const temp_directory dir;
    write_file(dir / "f", "x");
    const io::open_options how;
    io::random_access_file file = co_await fs.async_open(dir / "f", how, use_awaitable);
    const io::entry found = co_await fs.async_stat(dir / "f", use_awaitable);
    const io::detail::unique_handle mine = io::detail::open_existing(system_path(dir / "f"), GENERIC_READ, 0);
    const auto told = io::identity_of(io::detail::as_native(mine.get()));
    REQUIRE(told);
    const io::file_identity of_file{file.facts().device, file.facts().inode};
    const io::file_identity of_name{found.facts.device, found.facts.inode};
    CHECK(*told == of_file);
    CHECK(*told == of_name);
  });
}
