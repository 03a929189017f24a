#include "cli/commands.hpp"

#include "cli/failure.hpp"

#include <contrail/io/file_system.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace contrail::cli {

io::file_system open_file_system(const arguments& given, runner& loop) {
  io::backend_options options;
  options.kind = given.backend;
  try {
    return io::file_system(loop.executor(), options);
  } catch (const std::invalid_argument& e) {
    // Nothing else of the options can be out of range: it is the environment's CONTRAIL_IO_BACKEND.
    throw usage_error(e.what(), "CONTRAIL_IO_BACKEND may be auto, uring, iocp or threads");
  } catch (const error&) {
    throw;
  } catch (const std::system_error& e) {
    fail(e.code(), fmt::format("start the I/O backend {}", to_string(given.backend)), {}, {}, {}, e.what());
  }
}

}  // namespace contrail::cli
