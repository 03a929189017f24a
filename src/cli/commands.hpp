#pragma once

#include "cli/arguments.hpp"
#include "cli/console.hpp"
#include "cli/runner.hpp"

#include <contrail/io/file_system.hpp>

#include <optional>

namespace contrail::cli {

// Each runs one command and returns its exit status. Failures are thrown.

int run_backup(const arguments& given, console& out, runner& loop);
int run_list(const arguments& given, console& out, runner& loop);
int run_verify(const arguments& given, console& out, runner& loop);
int run_restore(const arguments& given, console& out, runner& loop);
int run_info(const arguments& given, console& out, runner& loop);
int run_pagestore(const arguments& given, console& out, runner& loop);
/// Defined in with_sqlite/ or without_sqlite/.
int run_demo(const arguments& given, console& out, runner& loop);
/// Was this process started by the demonstration, to write in its database? Then it has done so, and this is its exit status.
std::optional<int> serve_demo();

/// The file system on the backend that the options and the environment ask for.
io::file_system open_file_system(const arguments& given, runner& loop);

}  // namespace contrail::cli
