#pragma once

#include "engines/pagestore/format/log_header.hpp"

#include <contrail/engines/pagestore/types.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// Copies of databases, made while they were in use, are brought to the state at the end of the logs that belong to them (docs/pagestore.md,
/// "Restore"; ESE specification, section 7).
namespace contrail::pagestore {

/// What a backup has left in a directory.
struct copied_set {
  struct member {
    member() = default;
    std::filesystem::path path;            ///< of the file
    signature database;
    std::uint32_t pages = 0;
  };
  copied_set() = default;
  std::filesystem::path logs;              ///< their directory
  std::string base_name;
  std::uint32_t page_size = 0;
  signature log;
  std::uint64_t mark = 0;
  std::uint32_t low = 0, high = 0;         ///< generations, both included
  std::vector<member> databases;
  std::size_t memory = 0;                  ///< bytes, for pages and records; at least 16 pages are held
};

struct hard_outcome {
  std::uint64_t records = 0, changes = 0;
  std::uint64_t pages_read = 0, pages_written = 0, pages_repaired = 0;
};

/// The databases become clean ones, cut to their length and synced, which remember no backups. All of them are checked before one is changed:
/// -615 (no copy of a backup), -535 (trailer), -552 (header, trailer and logs are not of one backup), -553, -554 (logs that the copy needs are
/// not in the range), -557 (a log is missing), -573 (a log is damaged), -536 (one has no end), -515, -590, -610, -566, -567, -1018, -1118,
/// -1206, -1213. After a crash or a failure the directory is worthless: the files are taken from the set again.
[[nodiscard]] asio::awaitable<hard_outcome> hard_recovery(io::file_system fs, copied_set what);

}  // namespace contrail::pagestore
