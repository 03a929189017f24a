#include "cli/bank.hpp"

#include <cstdlib>
#include <optional>

namespace {

// The bank's writers are this program, started once more. Catch2 has the main().
[[maybe_unused]] const bool never_served = [] {
  if (const std::optional<int> status = contrail::bank::serve_writers()) {
    std::_Exit(*status);
  }
  return true;
}();

}  // namespace
