#include "cli/demo_directory.hpp"

#include "cli/process.hpp"

#include <system_error>

namespace contrail::cli {

namespace fs = std::filesystem;

demo_directory::demo_directory(const fs::path& below, bool keep)
    : path_(process::make_directory(below.empty() ? fs::temp_directory_path() : below, "contrail-demo-", "make a directory for the demo")), keep_(keep) {}

demo_directory::~demo_directory() {
  std::error_code ignored;
  if (!keep_) {
    fs::remove_all(path_, ignored);
  }
}

}  // namespace contrail::cli
