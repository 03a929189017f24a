#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

#include <windows.h>

/// What the tests need of this system. support/posix has the same for the others; the build chooses.

inline constexpr bool has_links = false;    ///< the C++ library of mingw-w64 cannot make them, and they need a privilege
inline constexpr bool has_rights = false;   ///< a file has the nine bits of rights
inline constexpr bool has_pipes = false;    ///< a pipe can have a name in the file system
inline constexpr std::uintmax_t hugest_resize = std::uintmax_t{1} << 30;   ///< of std::filesystem::resize_file

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

/// This system's own code for an error.
inline std::error_code system_code(std::errc what) {
  switch (what) {
    case std::errc::no_such_file_or_directory: return {ERROR_FILE_NOT_FOUND, std::system_category()};
    case std::errc::permission_denied: return {ERROR_ACCESS_DENIED, std::system_category()};
    case std::errc::no_space_on_device: return {ERROR_DISK_FULL, std::system_category()};
    case std::errc::io_error: return {ERROR_IO_DEVICE, std::system_category()};
    default: throw std::logic_error("add it here");
  }
}

/// Open handles of this process to files and directories. For leak checks; threads and ports come and go as the system likes.
inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for (std::uintptr_t value = 4; value < 4 * 2048; value += 4) {
    if (::GetFileType(reinterpret_cast<HANDLE>(value)) == FILE_TYPE_DISK) ++count;
  }
  return count;
}
