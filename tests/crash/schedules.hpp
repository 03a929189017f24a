#pragma once

#include "support/pagestore_life.hpp"

#include <cstdint>

/// Schedules: some lives of a store, each with an end, all by a seed.
namespace schedules {

/// Throws what must never be.
pagestore_world::counts run(std::uint64_t seed);

}  // namespace schedules
