#include "cli/nesting.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <algorithm>
#include <system_error>

namespace contrail::cli {

namespace {

/// As the system compares them: on some, capital and small letters are the same.
std::filesystem::path folded(const std::filesystem::path& path) { return io::to_path(io::fold_file_name(path.generic_string())); }

}  // namespace

void refuse_inside(const std::filesystem::path& inner, const std::filesystem::path& outer, const std::string& operation, const std::string& expected,
                   const std::string& found) {
  std::error_code ec;
  const std::filesystem::path target = folded(std::filesystem::weakly_canonical(std::filesystem::absolute(inner, ec), ec));
  if (ec) {
    return;   // the work itself will say why it cannot be reached
  }
  std::filesystem::path base = folded(std::filesystem::weakly_canonical(std::filesystem::absolute(outer, ec), ec));
  if (ec) {
    return;
  }
  while (!base.has_filename() && base.has_relative_path()) {
    base = base.parent_path();   // "dir/" is "dir"
  }
  const auto [end, ignored] = std::mismatch(base.begin(), base.end(), target.begin(), target.end());
  if (end == base.end()) {
    fail(errc::invalid_path, operation, inner.string(), {}, expected, found);
  }
}

}  // namespace contrail::cli
