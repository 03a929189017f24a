#pragma once

#include <cstdint>
#include <filesystem>

namespace contrail::test {

/// A small file system of its own, gone with the object; `mounted` tells whether the system allowed it.
class small_file_system {
 public:
  small_file_system(std::filesystem::path at, std::uint64_t bytes);
  small_file_system(const small_file_system&) = delete;
  small_file_system& operator=(const small_file_system&) = delete;
  ~small_file_system();
  bool mounted() const noexcept { return mounted_; }

 private:
  std::filesystem::path at_;
  bool mounted_ = false;
};

}  // namespace contrail::test
