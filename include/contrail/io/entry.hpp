#pragma once

#include <contrail/io/open_options.hpp>

#include <cstdint>
#include <filesystem>

namespace contrail::io {

enum class entry_type : std::uint8_t { file, directory, link, other };

/// What a name stands for. `file_system::async_list` fills name and type only.
struct entry {
  entry() = default;
  std::filesystem::path name;            ///< without directory
  entry_type type = entry_type::other;   ///< of the name itself; links are not followed
  file_facts facts;                      ///< async_stat only
};

/// Rights and owner. Where the system has no such thing, setting them succeeds. Trivially destructible.
struct attributes {
  std::uint32_t mode = 0600;             ///< permission bits
  bool set_owner = false;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

}  // namespace contrail::io
