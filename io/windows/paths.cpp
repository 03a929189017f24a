#include "windows/paths.hpp"

#include "windows/errors.hpp"

#include <string_view>
#include <system_error>

#include <windows.h>

namespace contrail::io::detail {

namespace {

constexpr std::wstring_view verbatim = L"\\\\?\\";

/// Of a path without that prefix, as far as a current directory or "..", which mean nothing behind the prefix.
std::wstring full_path(const std::wstring& path) {
  std::wstring full(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = ::GetFullPathNameW(path.c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr);
    if (length == 0) fail_now();
    const bool fits = length < full.size();
    full.resize(length);
    if (fits) return full;
  }
}

/// The last name, which GetFullPathNameW would strip of dots and spaces at its end, or take for a device.
bool is_plain(std::wstring_view name) { return name != L"." && name != L".." && name.find(L':') == std::wstring_view::npos && !name.empty(); }

}  // namespace

std::wstring system_path(const std::filesystem::path& path) {
  const std::wstring& given = path.native();
  if (given.empty()) throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory));
  if (given.starts_with(verbatim)) return given;
  if (given.find(L'\0') != std::wstring::npos) throw std::system_error(std::make_error_code(std::errc::invalid_argument));
  const std::size_t cut = given.find_last_of(L"\\/");
  const std::wstring_view last = cut == std::wstring::npos ? std::wstring_view(given) : std::wstring_view(given).substr(cut + 1);
  std::wstring full;
  if (is_plain(last)) {
    full = full_path(cut == std::wstring::npos ? L"." : given.substr(0, cut + 1));
    if (!full.ends_with(L'\\')) full += L'\\';
    full += last;
  } else {
    full = full_path(given);
  }
  if (full.starts_with(L"\\\\.\\")) throw std::system_error(std::make_error_code(std::errc::invalid_argument), "a device");
  while (full.size() > 3 && full.ends_with(L'\\')) full.pop_back();
  if (full.starts_with(L"\\\\?\\")) return full;
  if (full.starts_with(L"\\\\")) return L"\\\\?\\UNC" + full.substr(1);
  return std::wstring(verbatim) + full;
}

}  // namespace contrail::io::detail
