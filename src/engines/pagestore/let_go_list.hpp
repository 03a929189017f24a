#pragma once

#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace contrail::pagestore {

/// Databases that are not attached any more, as they were let go of: the newest first, one for a path, and one for a database.
class let_go_list {
 public:
  /// In place of what is known of its path, or of this database.
  void put(attached_database one) {
    forget(one);
    entries_.insert(entries_.begin(), std::move(one));
  }
  /// What has this one's path, or is this database.
  void forget(const attached_database& one) {
    std::erase_if(entries_, [&one](const attached_database& a) { return a.path == one.path || a.database == one.database; });
  }
  /// The newest so many.
  void keep(std::size_t most) {
    if (entries_.size() > most) entries_.resize(most);
  }
  /// Is it as it was when it was let go of? Else somebody has put another copy in its place.
  bool has(const database_header& h) const noexcept {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&h](const attached_database& a) { return a.database == h.database && a.dbtime == h.dbtime && a.cleaned == h.cleaned; });
  }
  const std::vector<attached_database>& entries() const noexcept { return entries_; }

 private:
  std::vector<attached_database> entries_;
};

}  // namespace contrail::pagestore
