#include "cli/commands.hpp"

namespace contrail::cli {

std::optional<int> serve_demo() { return {}; }

int run_demo(const arguments&, console&, runner&) {
  fail(errc::feature_not_built, "run the demo", {}, {}, {}, "it needs the engine sqlite; the build option is CONTRAIL_SQLITE");
}

}  // namespace contrail::cli
