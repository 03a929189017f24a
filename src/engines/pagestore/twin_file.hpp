#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/io/random_access_file.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// Two copies of one block in a file, never both written at once (docs/pagestore.md, "Twins").
namespace contrail::pagestore {

struct twin_place {
  std::uint64_t first = 0;      ///< byte offsets of the copies
  std::uint64_t second = 0;
  std::size_t bytes = 0;        ///< of each
};

/// Both copies as they are; what lies behind the end of the file is missing from its vector. Fails with what the system said.
struct twin_copies {
  twin_copies() = default;
  std::vector<std::byte> first;
  std::vector<std::byte> second;
};
[[nodiscard]] asio::awaitable<twin_copies> read_twins(io::random_access_file& file, twin_place place, std::string operation,
                                                      std::string name);

/// Writes `block` over the copy that is not in force, syncs, then over the other one, and syncs. `second_first`: which one is written first.
/// Only when it has returned may anything rely on the update. A failed sync is not repeated. `sync`: of that file.
[[nodiscard]] asio::awaitable<void> write_twins(io::random_access_file& file, std::function<asio::awaitable<void>()> sync, twin_place place,
                                                std::vector<std::byte> block, bool second_first, std::string operation, std::string name);

}  // namespace contrail::pagestore
