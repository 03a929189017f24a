#pragma once

#include "engines/sqlite/system.hpp"

#include <filesystem>
#include <string>
#include <system_error>

#include <windows.h>

namespace contrail::sqlite {

inline HANDLE as_handle(const descriptor& file) noexcept { return reinterpret_cast<HANDLE>(file.get()); }
std::error_code last_error() noexcept;

/// With the prefix that lifts the limit of 260 characters, for what is absolute.
std::wstring system_name(const std::filesystem::path& path);
/// Opens what is there.
descriptor open_with(const std::filesystem::path& path, DWORD access, DWORD share, DWORD flags, std::error_code& ec) noexcept;

}  // namespace contrail::sqlite
