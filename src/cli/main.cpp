#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/process.hpp"

#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace contrail::cli;

int dispatch(const arguments& given, console& out, runner& loop) {
  switch (given.what) {
    case command::backup:
      return run_backup(given, out, loop);
    case command::list:
      return run_list(given, out, loop);
    case command::verify:
      return run_verify(given, out, loop);
    case command::restore:
      return run_restore(given, out, loop);
    case command::info:
      return run_info(given, out, loop);
    case command::pagestore:
      return run_pagestore(given, out, loop);
    case command::demo:
      return run_demo(given, out, loop);
  }
  return exit_status::failed;
}

}  // namespace

int main(int argc, char** argv) {
  if (const std::optional<int> served = serve_demo()) {
    return *served;
  }
  process::prepare();
  std::vector<std::string> words;
  std::exception_ptr unreadable;
  try {
    words = process::words(argc, argv);
  } catch (...) {
    unreadable = std::current_exception();
  }
  console out(wants_json(words));
  activity doing = activity::other;
  std::optional<runner> loop;
  try {
    if (unreadable) {
      std::rethrow_exception(unreadable);
    }
    loop.emplace(out, progress_mode::never);
    std::string text;
    const std::optional<arguments> given = parse(words, text);
    if (!given) {
      out.print(text);
      return exit_status::done;
    }
    loop->set_mode(given->progress);
    if (given->what == command::verify || given->what == command::restore) {
      doing = activity::reads_sets;
    } else if (given->what == command::pagestore) {
      doing = activity::opens_store;
    }
    return dispatch(*given, out, *loop);
  } catch (...) {
    const failure what = describe(std::current_exception(), doing);
    out.report(what);
    return what.exit;
  }
}
