#include "cli/commands.hpp"
#include "cli/demo_directory.hpp"
#include "cli/pagestore/demo_store.hpp"
#include "cli/quantities.hpp"

#include <contrail/io/file_names.hpp>

#include <fmt/format.h>

namespace contrail::cli {

std::optional<int> serve_demo() { return {}; }

int run_demo(const arguments& given, console& out, runner& loop) {
  const demo_directory place(given.directory, given.keep);
  const io::file_system files = open_file_system(given, loop);
  const bool right = show_store(given, place.path(), files, 1, out, loop);
  out.print("\nThis build has no SQLite: the other half of the demonstration needs it (CONTRAIL_SQLITE)\n");
  if (given.keep) {
    out.print(fmt::format("\nEverything is left in {}\n", printable(io::to_text(place.path()))));
  }
  return right ? exit_status::done : exit_status::failed;
}

}  // namespace contrail::cli
