#pragma once

#include "engines/pagestore/log/log_tail.hpp"
#include "engines/pagestore/recovery/checkpoint_file.hpp"

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What a crash has left is brought to the state of the last whole batch of the log (docs/pagestore.md, "Recovery").
namespace contrail::pagestore {

struct recovery_outcome {
  recovery_outcome() = default;
  std::optional<log_tail> tail;               ///< where the log goes on; none: nothing is there, a new set of logs must be begun
  bool ran = false;                           ///< there was something to do
  lgpos start;                                ///< of redo
  std::uint32_t lowest_generation = 0;        ///< of the logs without a gap
  std::vector<std::uint32_t> garbage;         ///< generations below a gap, whose files may go
  std::vector<attached_database> recovered;   ///< that were attached at the end: clean now; with their dbtime, and where they became clean
  std::vector<attached_database> let_go;      ///< whose attachment ended in the part of the log that was read, as they were let go of, if they are still so
  std::vector<std::string> absent;            ///< attached and not there, passed over (`absent_database::skip`)
  checkpoint_state checkpoint;                ///< as found
  std::uint64_t records = 0, changes = 0;     ///< read; applied
  std::uint64_t pages_read = 0, pages_written = 0, pages_repaired = 0;
};

/// Recovers what the logs of the instance tell. `how` is checked, and its lock held by the caller, who goes on with the log at `tail` (a
/// generation that is closed or numbered is followed by a new one), appends *recovered*, and moves the checkpoint.
///
/// First it only reads. A failure in that part leaves all files as they were: -528, -515, -590, -610, -532, -1213 (logs and checkpoint that do not
/// belong together), -501 (damage in the log), -543, -544, -566, -567, -1018, -1118, -1206, -1216 (databases), or what the system said. After a
/// failure or a crash in the rest, it is done again from the beginning.
/// One strand: the caller's executor.
[[nodiscard]] asio::awaitable<recovery_outcome> soft_recovery(io::file_system fs, parameters how);

}  // namespace contrail::pagestore
