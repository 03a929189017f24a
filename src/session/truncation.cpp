#include "session/truncation.hpp"

#include <algorithm>

namespace contrail::detail {

log_plan plan_logs(kind what, bool by_logs, const log_cut& cut, const std::vector<database_info>& databases,
                   const std::vector<bool>& complete) {
  log_plan plan;
  plan.copy = cut.copy;
  if (by_logs && cut.since != 0) {
    // It goes on where its parent ends: no generation is in two sets of a chain, and none is left out.
    plan.copy.first = cut.since;
    if (cut.first_present > cut.since) {
      plan.missing = cut.since;
      if (!databases.empty()) plan.missing_for = databases.front().name;
    }
  } else if (by_logs) {
    // The range starts at what is still on disk, which reaches back to the last backup that truncated.
    plan.copy.first = cut.first_present;
    for (const database_info& d : databases) {
      generation last = d.last_full ? d.last_full->last : 0;
      if (d.last_incremental) last = std::max(last, d.last_incremental->last);
      if (cut.first_present > last + 1 && (!plan.missing || last + 1 < *plan.missing)) {
        plan.missing = last + 1;
        plan.missing_for = d.name;
      }
    }
  }

  // A copy must leave no trace in the chain, and a differential leaves the logs to the next one.
  if (what == kind::copy || what == kind::differential) return plan;
  plan.remove.first = cut.first_present;
  plan.remove.end = std::min(cut.checkpoint, plan.copy.end);
  if (!by_logs) {
    for (std::size_t i = 0; i < databases.size(); ++i) {
      if (i < complete.size() && complete[i]) continue;
      const auto& full = databases[i].last_full;
      plan.remove.end = std::min(plan.remove.end, full ? full->last : generation{0});
    }
  }
  plan.remove.first = std::min(plan.remove.first, plan.remove.end);
  return plan;
}

const database_info* without_full(const std::vector<database_info>& databases) noexcept {
  for (const database_info& d : databases)
    if (!d.last_full) return &d;
  return nullptr;
}

void generation_set::add(generation g) {
  auto at = std::find_if(ranges_.begin(), ranges_.end(), [g](const log_range& r) { return g <= r.end; });
  if (at == ranges_.end() || g + 1 < at->first) {
    log_range fresh;
    fresh.first = g;
    fresh.end = g + 1;
    ranges_.insert(at, fresh);
    return;
  }
  if (g + 1 == at->first) at->first = g;
  if (g == at->end) at->end = g + 1;
  const auto after = at + 1;
  if (after != ranges_.end() && after->first == at->end) {
    at->end = after->end;
    ranges_.erase(after);
  }
}

bool generation_set::covers(const log_range& range) const noexcept {
  if (range.empty()) return true;
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&range](const log_range& r) { return r.first <= range.first && range.end <= r.end; });
}

}  // namespace contrail::detail
