#pragma once

#include "support/pagestore_life.hpp"

#include <cstdint>
#include <string>

/// Schedules: some lives of a store, each with an end, all by a seed.
namespace schedules {

/// Of one kind alone, or of any; throws what must never be.
pagestore_world::counts run(std::uint64_t seed, const std::string& only = {});
bool has_kind(const std::string& name);

}  // namespace schedules
