#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/manifest.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Names in a repository (docs/repository-format.md), and what both the writer and the reader need to find their way.
namespace contrail::directory {

inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view list_name = "files.jsonl";
/// Behind a name that is one of the set's own, or that ends like this already (so that no two files meet). All others are stored under
/// their names, in which engines do not use those of their programs' logs.
inline constexpr std::string_view stored_suffix = ".copy";
inline constexpr std::string_view partial_prefix = ".partial-";
inline constexpr std::string_view lock_suffix = ".lock";
inline constexpr std::string_view commit_lock_name = ".commit.lock";

inline constexpr std::size_t most_manifest_bytes = std::size_t{1} << 20;
inline constexpr std::size_t most_line_bytes = std::size_t{64} << 10;
/// Buffer of the small pools for manifests and lists.
inline constexpr std::size_t text_buffer_bytes = std::size_t{64} << 10;

std::filesystem::path partial_path(const std::filesystem::path& repository, const std::string& set);
std::filesystem::path partial_lock_path(const std::filesystem::path& repository, const std::string& set);
/// Name under which a file is stored, below the directory of its set.
std::string stored_name(const file_info& file);

/// What a repository's directory holds. Names that are none of ours are left out.
struct content {
  content() = default;
  std::vector<std::string> sets;       ///< ids; also of links and files with the name of a set, which are then damaged
  std::vector<std::string> partials;   ///< ids of directories `.partial-<id>`
  std::vector<std::string> locks;      ///< ids of files `.partial-<id>.lock`
};
/// Fails with `errc::set_not_found` when it is missing, `errc::not_a_repository` when it is no directory.
[[nodiscard]] asio::awaitable<content> scan(io::file_system fs, const std::filesystem::path& repository, std::string_view operation);

/// The whole of a small file in a set, through a buffer of `pool`. A link is refused, never followed. Fails with `errc::set_incomplete`
/// when it is missing, `errc::set_damaged` when it is something else or longer than `most`.
[[nodiscard]] asio::awaitable<std::string> read_text(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& path,
                                                     std::string name, std::string operation, std::size_t most);
/// Creates a file that must not exist, writes and syncs it.
[[nodiscard]] asio::awaitable<void> write_text(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& path,
                                               const std::string& text, std::string operation);
/// Opens a stored file for reading after checking that it is a file of `bytes` bytes, and no link.
[[nodiscard]] asio::awaitable<io::random_access_file> open_stored(io::file_system fs, const std::filesystem::path& path,
                                                                  std::string name, std::string operation, std::uint64_t bytes);
/// The same for the list of files, whose length nobody knows before.
[[nodiscard]] asio::awaitable<io::random_access_file> open_listed(io::file_system fs, const std::filesystem::path& path, std::string name,
                                                                  std::string operation);
/// The manifest of a committed set, whole and belonging to this directory.
[[nodiscard]] asio::awaitable<manifest> read_manifest(io::file_system fs, io::buffer_pool& pool, const std::filesystem::path& repository,
                                                      const std::string& set, std::string operation);

}  // namespace contrail::directory
