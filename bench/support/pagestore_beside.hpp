#pragma once

#include "pagestore_load.hpp"

#include <string>

/// What a backup costs the writers of a store, and they cost it: windows with and without, in turns, in one process.
namespace pagestore_beside {

struct plan {
  plan() = default;
  std::string work;          ///< an empty directory, for the copies
  unsigned writers = 8;
  double seconds = 4;        ///< of each window at least; one that holds copies ends with the last of them
  unsigned rounds = 3;       ///< and one before them that does not count
};

/// Prints JSON.
asio::awaitable<void> measure(asio::any_io_executor ex, pagestore_load::parameters how, pagestore_load::shape pages, plan p);

}  // namespace pagestore_beside
