#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>

#include <windows.h>

/// What the tests need of this system. support/posix has the same for the others; the build chooses.

inline constexpr bool has_links = false;    ///< the C++ library of mingw-w64 cannot make them, and they need a privilege
inline constexpr bool has_rights = false;   ///< a file has the nine bits of rights
inline constexpr bool has_pipes = false;    ///< a pipe can have a name in the file system

/// A new directory; its name begins with `name`.
inline std::filesystem::path make_new_directory(const std::filesystem::path& base, const std::string& name) {
  std::random_device random;
  for (int again = 0; again < 100; ++again) {
    const std::filesystem::path path = base / (name + std::to_string(::GetCurrentProcessId()) + "-" + std::to_string(random()));
    if (std::filesystem::create_directory(path)) return path;
  }
  throw std::runtime_error("no new directory in " + base.string());
}

[[noreturn]] inline void make_pipe(const std::filesystem::path& path) {
  throw std::logic_error("a pipe has no name here: " + path.string());
}

/// A variable of the environment; null removes it.
inline void set_variable(const char* name, const char* value) {
  ::_putenv_s(name, value != nullptr ? value : "");
}

/// Open handles of this process to files and directories. For leak checks; threads and ports come and go as the system likes.
inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for (std::uintptr_t value = 4; value < 4 * 2048; value += 4) {
    if (::GetFileType(reinterpret_cast<HANDLE>(value)) == FILE_TYPE_DISK) ++count;
  }
  return count;
}
