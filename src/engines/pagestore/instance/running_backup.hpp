#pragma once

#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"

#include <contrail/types.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace contrail::pagestore {

/// The set that an incremental or differential backup builds on, as its manifest tells.
struct backup_base {
  backup_base() = default;
  std::string set;
  kind what = kind::full;
  mark at;
  std::string base_name;
  std::uint32_t page_size = 0;
  signature log;
  std::uint32_t high = 0;               ///< its last generation
};

/// What a backup holds in an instance: the logs from `low` on are not deleted while it runs. On the instance's strand.
struct running_backup {
  running_backup() = default;
  kind what = kind::full;
  lgpos begun;
  mark at;                              ///< full, copy: of the begin; else of the closing of the logs
  signature log;                        ///< of the set of logs
  std::uint32_t low = 0;                ///< the first generation that is copied
  std::uint32_t end = 0;                ///< behind the last; 0: not closed yet
  std::optional<backup_base> base;      ///< incremental, differential
  std::vector<std::uint8_t> attached;   ///< at the begin; none of them is let go of until the end
  std::uint64_t log_bytes_at_begin = 0;
  std::function<void(std::error_code)> on_lost;
};

/// A database at the moment when its copy begins.
struct database_copy {
  database_copy() = default;
  std::filesystem::path path;
  std::string stored_path;              ///< as the log names it
  database_header header;               ///< that of the copy
  std::uint32_t pages = 0;              ///< that are copied: 1 to this
};

/// A closed generation, and what proves it.
struct log_copy {
  log_copy() = default;
  std::filesystem::path path;
  log_header next;                      ///< of the generation that follows
};

}  // namespace contrail::pagestore
