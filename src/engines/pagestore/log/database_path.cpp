#include "engines/pagestore/log/database_path.hpp"

#include <contrail/engines/pagestore/types.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/manifest.hpp>

#include <system_error>

namespace contrail::pagestore {

std::string stored_path(const parameters& how, const std::filesystem::path& path) {
  const std::filesystem::path directory = how.directory.lexically_normal();
  const std::filesystem::path whole = (path.has_root_directory() ? path : directory / path).lexically_normal();
  const std::filesystem::path below = whole.lexically_relative(directory);
  const bool outside = below.empty() || below == "." || *below.begin() == "..";
  // One that is relative to the working directory has no other form than the one below the instance's directory, which is relative too.
  const std::filesystem::path& chosen = outside && (whole.has_root_directory() || below.empty()) ? whole : below;
  std::u8string text;
  try {
    text = chosen.generic_u8string();
  } catch (const std::system_error& e) {
    fail(errc::invalid_path, "name a database in the log", io::to_text(path), {}, "a name that is Unicode", e.what());
  }
  if (text.size() > longest_database_path) {
    fail(errc::invalid_path, "name a database in the log", io::to_text(path), {}, "at most " + std::to_string(longest_database_path) + " bytes",
         std::to_string(text.size()));
  }
  return std::string(text.begin(), text.end());
}

std::filesystem::path real_path(const parameters& how, std::string_view stored) {
  const std::filesystem::path path = io::to_path(stored);
  return path.has_root_directory() ? path : how.directory / path;
}

std::string restore_name(const std::string& stored, std::uint8_t id) {
  const std::size_t slash = stored.rfind('/');
  const std::string last = slash == std::string::npos ? stored : stored.substr(slash + 1);
  if (is_safe_name(stored) && !io::to_path(stored).has_root_path()) return stored;
  return "database-" + std::to_string(id) + "/" + (is_safe_name(last) ? last : std::string("database"));
}

}  // namespace contrail::pagestore
