#pragma once

#include "cli/arguments.hpp"
#include "cli/console.hpp"
#include "cli/pagestore/bank_store.hpp"
#include "cli/runner.hpp"

#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The commands below `contrail pagestore`, and what the demonstration needs of them.
namespace contrail::cli {

int run_store_create(const store_arguments& given, io::file_system files, console& out, runner& loop);
int run_store_info(const store_arguments& given, io::file_system files, console& out, runner& loop);
int run_store_check(const store_arguments& given, io::file_system files, console& out, runner& loop);
int run_store_bench(const store_arguments& given, io::file_system files, console& out, runner& loop);

/// What was made.
struct created_bank {
  created_bank() = default;
  std::vector<std::string> databases;   ///< paths below the store's directory
  std::int64_t expected_total = 0;
};
/// Makes a store with a bank in a directory that is empty or missing. Fails with nothing left behind.
[[nodiscard]] asio::awaitable<created_bank> create_bank(io::file_system files, std::filesystem::path directory, unsigned databases,
                                                        std::uint64_t accounts);

/// What a check found.
struct store_findings {
  store_findings() = default;
  std::optional<std::int64_t> total, expected_total;   ///< absent: there is no bank, or it could not be read
  bool opened = false;                                 ///< and looked for a bank
  std::vector<std::pair<unsigned, std::uint64_t>> writers;   ///< number, last transaction
  std::vector<pagestore::found_damage> damage;         ///< the first ones
  std::uint64_t more_damage = 0;                       ///< how many others there are
  std::uint64_t databases = 0, pages = 0, logs = 0;    ///< that were read
};
/// Fails where it cannot be done; what is damaged is found, and no failure.
store_findings check_store(io::file_system files, std::filesystem::path directory, runner& loop);

}  // namespace contrail::cli
