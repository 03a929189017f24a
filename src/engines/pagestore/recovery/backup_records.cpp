#include "engines/pagestore/recovery/backup_records.hpp"

#include <optional>

namespace contrail::pagestore {

namespace {

std::optional<backup_slot> slot_of(std::uint8_t scope) noexcept {
  switch (scope) {
    case 1: return full_previous;
    case 2: return incremental_previous;
    case 5: return copy_previous;
    case 6: return differential_previous;
    default: return std::nullopt;
  }
}

}  // namespace

bool remember_backup(database_header& header, const backup_event& event) noexcept {
  const std::optional<backup_slot> slot = slot_of(event.scope);
  if (!slot || event.phase != backup_phase_update) return false;
  backup_record& record = header.backups[*slot];
  if (record.mark >= event.mark) return false;
  record.mark = event.mark;
  record.time = event.time;
  record.low = event.low;
  record.high = event.high;
  record.type = event.type;
  if (*slot != full_previous) return true;
  // A full one is what later incremental ones build on; those that were made after it stay.
  for (const backup_slot other : {incremental_previous, differential_previous}) {
    if (header.backups[other].mark < event.mark) header.backups[other] = backup_record();
  }
  return true;
}

}  // namespace contrail::pagestore
