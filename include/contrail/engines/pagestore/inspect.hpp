#pragma once

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/engines/pagestore/types.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/types.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// A look at the files of a store, without opening it: nothing is changed, and what is in use may change meanwhile.
namespace contrail::pagestore {

/// A backup that a database remembers.
struct remembered_backup {
  mark at;
  std::uint32_t first = 0, last = 0;   ///< generations
};

/// A database file, by its header.
struct database_facts {
  database_facts() = default;
  std::filesystem::path path;          ///< relative to the store's directory
  std::string problem;                 ///< why nothing else is known; empty: it is
  std::string state;                   ///< "being created", "dirty", "clean"
  signature identity;
  std::uint32_t page_size = 0;         ///< bytes
  std::uint32_t pages = 0;             ///< that it owned when the header was written
  std::uint64_t dbtime = 0;
  std::uint32_t min_required = 0, max_required = 0;   ///< generations that it needs; 0: none
  bool copy = false;                   ///< made by a backup, and not replayed
  std::optional<remembered_backup> full, incremental, copied, differential;
};

struct store_facts {
  store_facts() = default;
  parameters how;                      ///< directory, base name, page size, log file size of what is there; else defaults
  signature log;
  std::uint32_t first_generation = 0, last_generation = 0;   ///< without a gap; 0: no logs, as after a restore
  bool has_current = false;            ///< the last one is `<base>.log`
  std::optional<lgpos> checkpoint;     ///< recovery begins there
  /// Below the directory, and those elsewhere that the newest log's header and the checkpoint list; by name. What was made or attached behind both
  /// only recovery finds: `instance::recovered`, or another look when the instance was opened.
  std::vector<database_facts> databases;
};

/// Fails with `errc::file_not_found` when no store is there (no logs, and no databases either), `errc::invalid_parameter` when there are several (base names), and what logs that
/// cannot be read are refused with.
[[nodiscard]] asio::awaitable<store_facts> inspect(io::file_system files, std::filesystem::path directory);

/// Something that is wrong in a file.
struct found_damage {
  found_damage() = default;
  std::string file;
  std::uint64_t offset = 0;            ///< bytes
  std::string what;                    ///< what was expected, and what is there
};

struct database_totals {
  std::uint64_t pages = 0, data = 0, free = 0, maps = 0, blank = 0;
};

/// Looks at both copies of the checkpoint and of each database's header. One that is not whole is told to `damaged` where the store ended
/// well (all of its databases are clean), for a crash may leave one so and loses nothing by it; two that are not always are. A missing
/// checkpoint counts as such. Before the store is opened: that mends them.
[[nodiscard]] asio::awaitable<void> check_twins(io::file_system files, store_facts of, std::function<void(const found_damage&)> damaged);

/// Reads a database that nobody has open from front to back: the header, every page's checksum, number, owner and age, and the maps against the
/// kinds of the pages. Each damage is told to `damaged`. Fails with `errc::database_corrupted` when it is none. Memory: 1 MiB.
[[nodiscard]] asio::awaitable<database_totals> check_database(io::file_system files, std::filesystem::path path,
                                                              std::function<void(const found_damage&)> damaged);

/// Reads every generation, sector by sector and record by record, and whether each follows the one before. How many are right.
[[nodiscard]] asio::awaitable<std::uint32_t> check_logs(io::file_system files, store_facts of, std::function<void(const found_damage&)> damaged);

}  // namespace contrail::pagestore
