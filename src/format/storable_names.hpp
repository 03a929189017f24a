#pragma once

#include <contrail/io/file_system.hpp>
#include "format/path_hash.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace contrail {

/// Can files with these names, '/'-separated, stand in one directory? A name that the system cannot store might reach a device or another
/// file there, and two names that are one to the system would be one file. For a set that is going to be written or restored; simulated
/// disks store every name.
class storable_names {
 public:
  /// The rules of one kind of file systems. Null pointers: every name, and no two names are one.
  struct rules {
    rules() = default;
    std::string_view (*why_not)(std::string_view component) noexcept = nullptr;
    std::string (*fold)(std::string_view path) = nullptr;
  };
  static rules rules_of(const io::file_system& fs);

  /// `memory` bounds the table of names, in bytes. There is none where no two names are one.
  storable_names(const rules& with, std::size_t memory) noexcept;

  /// Fails with `errc::invalid_path`. Looks at the name alone.
  void require_storable(std::string_view name, std::string_view operation) const;
  /// Also compares it with those that were added: other ways of writing its directories, and of writing it. Fails with `errc::invalid_path`.
  void require_apart(std::string_view name, std::string_view operation);
  /// As require_apart, and later names are compared with this one. Fails with `errc::out_of_memory` when the table is full.
  void add(std::string_view name, std::string_view operation);
  /// Was this name added, or one that is the same to a system that does not tell letters apart? False where there is no table.
  bool holds(std::string_view name) const;

 private:
  void remember(std::string_view path, std::string_view name, std::string_view operation);
  void compare(std::string_view path, std::string_view name, std::string_view operation) const;

  rules rules_;
  std::size_t most_;
  std::string last_directory_;
  std::map<path_hash, path_hash> written_;   ///< the fold of a path, and the path as it is written
};

}  // namespace contrail
