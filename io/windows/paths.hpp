#pragma once

#include <filesystem>
#include <string>

namespace contrail::io::detail {

/// The path as the system wants it: absolute, with backslashes, and with the prefix that lifts the limit of 260 characters and takes names
/// as they are (no device behind "NUL", no dots cut off). Throws std::system_error: a path that leads to a device.
std::wstring system_path(const std::filesystem::path& path);

/// For what replaces or removes a name, or may open what is there: "REPORT~1.DB" can be the short form of another file's name, which is not
/// meant. The path as system_path makes it. Throws std::system_error (io_errc::short_name_of_another).
void refuse_short_name(const std::wstring& path);

}  // namespace contrail::io::detail
