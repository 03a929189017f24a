#pragma once

#include "cli/arguments.hpp"
#include "cli/console.hpp"
#include "cli/runner.hpp"

#include <contrail/io/file_system.hpp>

#include <filesystem>

namespace contrail::cli {

/// The part of the demonstration that every build has: a bank in a pagestore, writers, a full backup by the same process while they go on, a
/// restore, an audit. Works in `place`, numbers its steps from `step` on. Is the restored bank right?
bool show_store(const arguments& given, const std::filesystem::path& place, io::file_system files, unsigned step, console& out, runner& loop);

}  // namespace contrail::cli
