#pragma once

#include <contrail/types.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace contrail::cli {

enum class store_command { create, info, check, bench };

/// What follows `contrail pagestore`, checked and in the library's units. All but what has a default is of the command that has the option.
struct store_arguments {
  store_arguments() = default;

  store_command what = store_command::info;
  std::filesystem::path directory;

  // create
  unsigned databases = 3;
  std::uint64_t accounts = 30000;

  // bench
  unsigned writers = 8;
  unsigned seconds = 5;               ///< without backups, and before them
  bool acks = false;
  bool circular = false;
  std::filesystem::path repository;   ///< empty: no backups
  unsigned backups = 1;
  std::vector<kind> kinds{kind::full};   ///< one after the other, from the first again
  bool truncate_logs = false;
  std::uint64_t rate_limit = 0;       ///< bytes a second; 0: none
  std::chrono::microseconds pause{0};   ///< of a writer between its transactions; for the demonstration
};

/// Options as text, before their units are looked at.
struct store_texts {
  store_texts() = default;
  std::string directory, repository, kinds = "full", rate_limit = "none";
};

/// Adds the command and those below it, which are returned: the options that all commands have are still to be added. `out` and `text` must
/// outlive `app`.
std::vector<CLI::App*> define_store(CLI::App& app, store_arguments& out, store_texts& text);

/// After parsing. `name`: of the command below `pagestore`. Throws `usage_error`.
void convert_store(const std::string& name, const store_texts& text, store_arguments& out);

}  // namespace contrail::cli
