#pragma once

#include <contrail/engine.hpp>
#include <contrail/types.hpp>

#include <optional>
#include <string>
#include <vector>

namespace contrail::detail {

/// What follows from the closed generation (ESE specification, sections 4.3 and 6.1).
struct log_plan {
  log_plan() = default;
  log_range copy;                          ///< to be copied
  log_range remove;                        ///< may be deleted once the set is durable; empty: nothing
  std::optional<generation> missing;       ///< incremental, differential: the first log that is gone, -569
  std::string missing_for;                 ///< ... and the database that needs it
};

/// `complete` says for each database of `databases`, in the same order, whether this backup holds all of it.
log_plan plan_logs(kind what, bool by_logs, const log_cut& cut, const std::vector<database_info>& databases,
                   const std::vector<bool>& complete);

/// The database that has no full backup to build on (-560); null: all have one.
const database_info* without_full(const std::vector<database_info>& databases) noexcept;

/// Set of generations, kept as ranges: an exact account of what was read.
class generation_set {
 public:
  void add(generation g);
  bool covers(const log_range& range) const noexcept;

 private:
  std::vector<log_range> ranges_;   // ascending, apart
};

}  // namespace contrail::detail
