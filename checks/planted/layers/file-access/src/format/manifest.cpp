#include <filesystem>
#include <fstream>  // expect: file-access

namespace fs = std::filesystem;

bool there(const std::filesystem::path& name) {
  fs::path other = name / "x";
  std::ifstream in(name);  // expect: file-access
  return std::filesystem::exists(name)  // expect: file-access
         || fs::is_directory(other);  // expect: file-access
}
