#pragma once

#include "test_system.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>

/// A directory of its own for one test, removed at the end. Below $CONTRAIL_TEST_DIR, else the system's temporary directory.
class temp_directory {
 public:
  temp_directory() {
    const char* chosen = std::getenv("CONTRAIL_TEST_DIR");
    const auto base = chosen != nullptr ? std::filesystem::path(chosen) : std::filesystem::temp_directory_path();
    path_ = make_new_directory(base, "contrail-test-");
  }
  ~temp_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temp_directory(const temp_directory&) = delete;
  temp_directory& operator=(const temp_directory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  if (!out) throw std::runtime_error("write " + path.string());
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("read " + path.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Bytes that differ from place to place, the same for the same arguments.
inline std::string pattern_bytes(std::size_t count, unsigned seed = 1) {
  std::string bytes(count, '\0');
  std::uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 8 == 0) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    bytes[i] = static_cast<char>(x >> (8 * (i % 8)));
  }
  return bytes;
}
