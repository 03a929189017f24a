#pragma once

#include "format/path_hash.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::directory {

/// The paths of a set in a table of known size: is a path twice in the list, does one lead through another, is a file of the directory
/// one of the list? Filled first, then sealed, then asked.
class path_table {
 public:
  /// `memory` bounds the table, in bytes.
  explicit path_table(std::size_t memory) : most_(memory / sizeof(path_hash)) {}

  /// False when there is no room. `stored`: the name under which the file is found.
  bool add(std::string_view path, std::string_view stored);
  void seal();
  bool has_stored(std::string_view name) const;
  bool has_directory(std::string_view path) const;
  /// Is the path listed twice, or is it a directory of another path?
  bool conflicts(std::string_view path) const;

 private:
  std::size_t most_;
  std::string last_directory_;
  std::vector<path_hash> files_;         ///< until sealed
  std::vector<path_hash> stored_;
  std::vector<path_hash> directories_;
  std::vector<path_hash> conflicts_;
};

}  // namespace contrail::directory
