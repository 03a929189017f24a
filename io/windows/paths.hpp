#pragma once

#include <filesystem>
#include <string>

namespace contrail::io::detail {

/// The path as the system wants it: absolute, with backslashes, and with the prefix that lifts the limit of 260 characters and takes names
/// as they are (no device behind "NUL", no dots cut off). Throws std::system_error: a path that leads to a device.
std::wstring system_path(const std::filesystem::path& path);

}  // namespace contrail::io::detail
