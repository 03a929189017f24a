#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// The calls of a file system as coroutines that answer with an error code: most callers expect one failure or another and go on.
/// Paths are borrowed for the time of the call. Cancellation: as the calls themselves.
namespace contrail::calls {

struct opened {
  opened() = default;
  std::error_code ec;
  io::random_access_file file;
};
struct locked {
  locked() = default;
  std::error_code ec;
  io::held_lock lock;
};
struct found {
  found() = default;
  std::error_code ec;
  io::entry entry;
};
struct listing {
  listing() = default;
  std::error_code ec;
  std::vector<io::entry> entries;
};

[[nodiscard]] asio::awaitable<opened> open(io::file_system fs, const std::filesystem::path& path, io::open_options options);
[[nodiscard]] asio::awaitable<std::error_code> rename(io::file_system fs, const std::filesystem::path& from,
                                                      const std::filesystem::path& to);
[[nodiscard]] asio::awaitable<std::error_code> rename_new(io::file_system fs, const std::filesystem::path& from,
                                                          const std::filesystem::path& to);
[[nodiscard]] asio::awaitable<std::error_code> remove(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<std::error_code> remove_all(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<std::error_code> make_directory(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<std::error_code> sync_directory(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<std::error_code> set_attributes(io::file_system fs, const std::filesystem::path& path,
                                                              io::attributes value);
[[nodiscard]] asio::awaitable<listing> list(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<found> stat(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<locked> lock(io::file_system fs, const std::filesystem::path& path);
[[nodiscard]] asio::awaitable<std::error_code> sync(io::random_access_file& file);
[[nodiscard]] asio::awaitable<std::error_code> resize(io::random_access_file& file, std::uint64_t bytes);
[[nodiscard]] asio::awaitable<std::error_code> allocate(io::random_access_file& file, std::uint64_t bytes);
[[nodiscard]] asio::awaitable<std::pair<std::error_code, std::uint64_t>> size(io::random_access_file& file);
[[nodiscard]] asio::awaitable<io::lease> acquire(io::buffer_pool& pool);

/// Throws `contrail::error` when `ec` is a failure.
void check(std::error_code ec, std::string_view operation, const std::filesystem::path& file);
bool is_missing(std::error_code ec) noexcept;
bool is_taken(std::error_code ec) noexcept;      ///< the name exists
bool is_held(std::error_code ec) noexcept;       ///< the lock is somebody's
bool is_cancelled(std::error_code ec) noexcept;
/// No room, or no more room for this user or this file.
bool is_full(std::error_code ec) noexcept;

/// The directory that holds `path`; "." for a bare name.
std::filesystem::path directory_of(const std::filesystem::path& path);
/// Makes every directory on the way to `name` below `base` (not the last part). Adds those that were made to `made`, outermost first.
/// What is there already must be a directory itself, not a link to one: fails with `errc::unsafe_path`.
[[nodiscard]] asio::awaitable<void> make_parents(io::file_system fs, const std::filesystem::path& base, std::string_view name,
                                                 std::string_view operation, std::vector<std::filesystem::path>* made);
/// Directories below `top` and `top` itself are on stable storage.
[[nodiscard]] asio::awaitable<void> sync_tree(io::file_system fs, const std::filesystem::path& top, std::string_view operation);
/// A coroutine that fails with something else than `contrail::error` (an await after a cancellation) is made to fail with it.
[[noreturn]] void rethrow_as_error(std::exception_ptr failure, std::string_view operation, const std::filesystem::path& file);

}  // namespace contrail::calls
