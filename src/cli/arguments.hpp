#pragma once

#include "cli/pagestore/store_arguments.hpp"

#include <contrail/io/backend.hpp>
#include <contrail/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace contrail::cli {

enum class command { backup, list, verify, restore, info, pagestore, demo };
enum class progress_mode { automatic, always, never };

/// The command line, checked and in the library's units.
struct arguments {
  arguments() = default;

  command what = command::info;
  bool as_json = false;
  bool verbose = false;
  progress_mode progress = progress_mode::automatic;
  io::backend_kind backend = io::backend_kind::automatic;
  std::size_t memory = std::size_t{64} << 20;
  std::filesystem::path repository;
  std::string set;                                   ///< verify, restore

  // backup
  std::string source;
  kind backup_kind = kind::full;
  bool truncate_logs = false;
  std::uint64_t rate_limit = 0;
  std::chrono::seconds max_pin_age = std::chrono::hours(1);
  std::optional<std::uint64_t> max_log_growth;       ///< absent: the engine's own default

  // verify
  bool prove = false;
  std::filesystem::path scratch;

  // restore
  std::filesystem::path into;
  bool force = false;

  store_arguments store;                             ///< pagestore

  // demo
  std::filesystem::path directory;
  bool keep = false;
  unsigned seconds = 0;
};

/// Is --json among these? For errors that come before the line is understood.
bool wants_json(const std::vector<std::string>& words);

/// Either arguments, or (in `text`) help or the version to be printed. Throws `usage_error`.
std::optional<arguments> parse(const std::vector<std::string>& words, std::string& text);

}  // namespace contrail::cli
