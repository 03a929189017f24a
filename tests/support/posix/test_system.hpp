#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <sys/stat.h>

/// What the tests need of this system. support/windows has the same for Windows; the build chooses.

inline constexpr bool has_links = true;    ///< symbolic links can be made
inline constexpr bool has_rights = true;   ///< a file has the nine bits of rights
inline constexpr bool has_pipes = true;    ///< a pipe can have a name in the file system
inline constexpr std::uintmax_t hugest_resize = std::uintmax_t{1} << 40;   ///< of std::filesystem::resize_file

/// A new directory; its name begins with `name`.
inline std::filesystem::path make_new_directory(const std::filesystem::path& base, const std::string& name) {
  std::string pattern = (base / (name + "XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  return pattern;
}

/// A named pipe.
inline void make_pipe(const std::filesystem::path& path) {
  if (::mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo " + path.string());
}

/// A variable of the environment; null removes it.
inline void set_variable(const char* name, const char* value) {
  if (value != nullptr) {
    ::setenv(name, value, 1);
  } else {
    ::unsetenv(name);
  }
}

/// This system's own code for an error.
inline std::error_code system_code(std::errc what) {
  return {static_cast<int>(what), std::system_category()};
}

/// Open descriptors of this process, the directory stream's own excluded. For leak checks.
inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)e;
    ++count;
  }
  return count - 1;
}
