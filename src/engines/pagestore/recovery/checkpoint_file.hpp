#pragma once

#include "engines/pagestore/format/checkpoint.hpp"

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <optional>

namespace contrail::pagestore {

/// The checkpoint file as it was found.
struct checkpoint_state {
  checkpoint_state() = default;
  bool present = false;                        ///< the file is there
  std::optional<checkpoint_block> in_force;    ///< none: neither copy is good
  bool second_in_force = false;
};

/// Fails with what the system said; a missing or damaged file is no failure.
[[nodiscard]] asio::awaitable<checkpoint_state> read_checkpoint(io::file_system fs, const parameters& how);

}  // namespace contrail::pagestore
