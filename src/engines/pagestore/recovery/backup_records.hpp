#pragma once

#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_record.hpp"

/// What a database header remembers of backups (ESE specification, sections 4.5 and 4.6).
namespace contrail::pagestore {

constexpr std::uint8_t backup_phase_update = 4;   ///< the only phase that redo acts on

/// Puts a finished backup into the header, unless a newer one stands there: so it can be done again. Has it changed anything?
bool remember_backup(database_header& header, const backup_event& event) noexcept;

}  // namespace contrail::pagestore
