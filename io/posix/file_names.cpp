#include <contrail/io/file_names.hpp>

#include <cstdlib>

namespace contrail::io {

std::string_view why_not_a_file_name(std::string_view component) noexcept {
  if (component.empty()) return "an empty name";
  if (component == "." || component == "..") return "a name that means a directory";
  if (component.find('/') != std::string_view::npos) return "a name with '/'";
  if (component.find('\0') != std::string_view::npos) return "a name with a NUL";
  return {};
}

bool file_names_fold() noexcept { return false; }

std::string fold_file_name(std::string_view path) { return std::string(path); }

std::string to_text(const std::filesystem::path& path) { return path.native(); }

std::filesystem::path temporary_directory() {
  for (const char* const variable : {"TMPDIR", "TMP", "TEMP", "TEMPDIR"}) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return value;
  }
  return "/tmp";
}

}  // namespace contrail::io
