#pragma once

#include "cli/console.hpp"
#include "cli/pagestore/bank_load.hpp"
#include "cli/pagestore/store_arguments.hpp"

#include <contrail/backup.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Writers in a bank, and backups of it in the same process.
namespace contrail::cli {

/// A backup that a bench has made, and the set that it builds on.
struct made_backup {
  made_backup() = default;
  backup_report report;
  std::string parent;   ///< empty: none
};

struct bench_result {
  bench_result() = default;
  std::uint64_t accounts = 0;
  std::size_t databases = 0;
  store_bank::lap before, during;                          ///< the backups
  std::vector<std::uint64_t> acknowledged_before, acknowledged_after;   ///< of each writer, the last durable transaction then
  std::vector<made_backup> backups;
};

/// On standard error: that the sets are there, though the bench has failed.
void tell_sets(const bench_result& result, console& out);

/// Runs what `given` says, on an executor of one thread. The store has been ended in order when it is over, also by a failure or a
/// cancellation (terminal). Fails with what a writer, a backup or the store's end has met. `counters` may be null.
[[nodiscard]] asio::awaitable<bench_result> run_bench(io::file_system files, const store_arguments* given, console* out, progress* counters);

}  // namespace contrail::cli
