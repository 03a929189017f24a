#pragma once

#include "engines/pagestore/format/log_header.hpp"

#include <contrail/engines/pagestore/types.hpp>
#include <contrail/types.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::pagestore {

/// What a set of this engine says of itself in its manifest: all that a restore must know beside the files.
struct set_state {
  struct member {
    member() = default;
    std::string name;                ///< of its file in the set
    std::string path;                ///< as the log names it
    signature database;
    std::uint32_t pages = 0;
  };
  set_state() = default;
  std::string base_name;
  std::uint32_t page_size = 0;
  std::uint64_t log_file_size = 0;
  signature log;
  std::uint64_t mark = 0;            ///< lgpos
  std::uint32_t low = 0, high = 0;   ///< generations in the set, both included
  std::vector<member> databases;     ///< that were copied

  std::string write() const;
  /// Fails with `errc::format_unknown`, `errc::set_damaged`.
  static set_state read(std::string_view text);
};

}  // namespace contrail::pagestore
