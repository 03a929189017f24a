#pragma once

#include <filesystem>

namespace contrail::cli {

/// A new directory for the demonstration, removed at the end unless it is to be kept.
class demo_directory {
 public:
  demo_directory(const std::filesystem::path& below, bool keep);
  demo_directory(const demo_directory&) = delete;
  demo_directory& operator=(const demo_directory&) = delete;
  ~demo_directory();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  bool keep_;
};

}  // namespace contrail::cli
