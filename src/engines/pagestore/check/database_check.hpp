#pragma once

#include <contrail/engines/pagestore/types.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace contrail::pagestore {

/// Something that is wrong in a file.
struct found_damage {
  found_damage() = default;
  std::string file;
  std::uint64_t offset = 0;     ///< bytes
  std::string what;             ///< what was expected, and what is there
};

struct database_totals {
  std::uint64_t pages = 0, data = 0, free = 0, maps = 0, blank = 0;
};

/// Reads a database that nobody has open from front to back: the header, every page's checksum, number, owner and age, and the maps against the
/// kinds of the pages. Each damage is told to `damaged`. Fails with -1206, -1213 and what the system said when there is nothing to read.
/// Memory: 1 MiB.
[[nodiscard]] asio::awaitable<database_totals> check_database(io::file_system fs, std::filesystem::path path,
                                                              std::function<void(const found_damage&)> damaged);

}  // namespace contrail::pagestore
