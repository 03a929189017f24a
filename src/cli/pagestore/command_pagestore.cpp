#include "cli/commands.hpp"
#include "cli/pagestore/store_commands.hpp"

namespace contrail::cli {

int run_pagestore(const arguments& given, console& out, runner& loop) {
  if (given.store.acks) {
    out.results_on_standard_error();
  }
  const io::file_system files = open_file_system(given, loop);
  switch (given.store.what) {
    case store_command::create:
      return run_store_create(given.store, files, out, loop);
    case store_command::info:
      return run_store_info(given.store, files, out, loop);
    case store_command::check:
      return run_store_check(given.store, files, out, loop);
    case store_command::bench:
      return run_store_bench(given.store, files, out, loop);
  }
  return exit_status::failed;
}

}  // namespace contrail::cli
