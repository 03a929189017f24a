#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace contrail::pagestore {

/// What recovery does with a database that the log has attached and that is not there.
enum class absent_database : std::uint8_t {
  fail,   ///< `errc::database_not_found`
  skip,   ///< its changes are passed over
};

/// How an instance works. `instance::open` refuses values out of bounds with `errc::invalid_parameter`, and names them.
struct parameters {
  parameters() = default;

  /// Directory of the instance: databases with relative paths, and logs and checkpoint unless they are put elsewhere. Made when it is
  /// missing.
  std::filesystem::path directory;
  std::filesystem::path log_directory;          ///< empty: `directory`
  std::filesystem::path checkpoint_directory;   ///< empty: `directory`
  std::string base_name = "edb";                ///< three characters of a to z and 0 to 9: names of logs, checkpoint

  std::uint32_t page_size = 8192;               ///< bytes: 4096, 8192, 16384 or 32768; fixed for a set of logs and for a database
  std::uint32_t log_file_size = 8U << 20U;      ///< bytes, whole 64 KiB, 128 KiB (and 16 pages) to 1 GiB; fixed for a set of logs
  std::uint32_t log_write_unit = 0;             ///< bytes, 512 or 4096; 0: what direct writes there need. Fixed for a set of logs
  std::uint32_t log_buffer = 1U << 20U;         ///< bytes, 64 KiB to half a log file: what may wait to be written
  std::uint64_t cache_size = 0;                 ///< pages, 64 to 2^31; 0: 64 MiB worth
  std::uint64_t checkpoint_depth = 64U << 20U;  ///< bytes of log, one log file to 64 GiB: what a recovery reads at most, nearly
  bool circular_logging = false;                ///< logs that neither recovery nor a backup needs are deleted
  bool logging = true;                          ///< off: nothing is recovered after a crash, and there are no backups
  std::chrono::milliseconds lazy_delay{50};     ///< 1 to 10000: a lazy commit is durable at the latest then
  std::chrono::microseconds group_delay{0};     ///< 0 to 10000: how long a commit waits for others
  std::uint32_t writes_in_flight = 32;          ///< pages, 1 to 256
  std::uint32_t growth = 0;                     ///< pages a step, 16 to 65536; 0: 1 MiB worth
  absent_database absent = absent_database::fail;
  std::uint32_t first_generation = 1;           ///< of a new set of logs, 1 to `last_generation`
};

/// Fills in what "0" and "empty" stand for; fails with `errc::invalid_parameter`.
parameters checked(parameters given);

}  // namespace contrail::pagestore
