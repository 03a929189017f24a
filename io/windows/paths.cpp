#include "windows/paths.hpp"

#include "common/io_errors.hpp"
#include "windows/errors.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <vector>

#include <windows.h>

namespace contrail::io::detail {

namespace {

constexpr std::wstring_view verbatim = L"\\\\?\\";

[[noreturn]] void refuse(const char* why) { throw std::system_error(std::make_error_code(std::errc::invalid_argument), why); }

/// What "." means, or "C:.", or "\\".
std::wstring current(const std::wstring& path) {
  std::wstring full(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = ::GetFullPathNameW(path.c_str(), static_cast<DWORD>(full.size()), full.data(), nullptr);
    if (length == 0) fail_now();
    const bool fits = length < full.size();
    full.resize(length);
    if (fits) return full;
  }
}

/// Up to the next backslash; moves `rest` behind it.
std::wstring_view next_name(std::wstring_view& rest) noexcept {
  const std::size_t end = std::min(rest.find(L'\\'), rest.size());
  const std::wstring_view name = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return name;
}

bool has_drive(std::wstring_view path) noexcept { return path.size() >= 2 && path[1] == L':'; }

/// With backslashes; absolute, without the prefix, but for volumes that have no other form.
std::wstring absolute(std::wstring path) {
  std::replace(path.begin(), path.end(), L'/', L'\\');
  if (path.starts_with(L"\\\\?\\UNC\\")) return L"\\" + path.substr(7);
  if (path.starts_with(verbatim)) return has_drive(std::wstring_view(path).substr(4)) ? path.substr(4) : path;
  if (path.starts_with(L"\\\\")) return path;
  if (has_drive(path)) return path.size() > 2 && path[2] == L'\\' ? path : current(path.substr(0, 2) + L".") + L"\\" + path.substr(2);
  return path.starts_with(L"\\") ? current(L"\\") + path : current(L".") + L"\\" + path;
}

}  // namespace

std::wstring system_path(const std::filesystem::path& path) {
  if (path.native().empty()) throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory));
  if (path.native().find(L'\0') != std::wstring::npos) refuse("a path with a NUL in it");
  const std::wstring full = absolute(path.native());
  if (full.starts_with(L"\\\\.\\")) refuse("a device");
  std::wstring_view rest = full;
  std::wstring out(verbatim);
  if (full.starts_with(verbatim)) {
    rest.remove_prefix(verbatim.size());
    out += next_name(rest);   // Volume{...}
  } else if (full.starts_with(L"\\\\")) {
    rest.remove_prefix(2);
    out += L"UNC\\";
    out += next_name(rest);
    out += L'\\';
    out += next_name(rest);
  } else {
    out += next_name(rest);
  }
  // The system does not look at these behind the prefix, and takes every other name as it is: no device, no dots cut off.
  std::vector<std::wstring_view> names;
  while (!rest.empty()) {
    const std::wstring_view name = next_name(rest);
    if (name.empty() || name == L".") continue;
    if (name.find(L':') != std::wstring_view::npos) refuse("a name with a colon");
    if (name != L"..") {
      names.push_back(name);
    } else if (!names.empty()) {
      names.pop_back();
    }
  }
  if (names.empty()) return out + L'\\';
  for (const std::wstring_view name : names) {
    out += L'\\';
    out += name;
  }
  return out;
}

void refuse_short_name(const std::wstring& path) {
  constexpr std::size_t longest = 12;   // 8.3
  const std::wstring_view name = std::wstring_view(path).substr(path.rfind(L'\\') + 1);
  if (name.size() > longest || name.find(L'~') == std::wstring_view::npos || name.find_first_of(L"*?<>\"") != std::wstring_view::npos) return;
  WIN32_FIND_DATAW found{};
  const HANDLE search = ::FindFirstFileExW(path.c_str(), FindExInfoBasic, &found, FindExSearchNameMatch, nullptr, 0);
  if (search == INVALID_HANDLE_VALUE) return;   // nothing is there, or the request itself will say what is wrong
  ::FindClose(search);
  const bool same = ::CompareStringOrdinal(found.cFileName, -1, name.data(), static_cast<int>(name.size()), TRUE) == CSTR_EQUAL;
  if (!same) throw std::system_error(io_errc::short_name_of_another);
}

}  // namespace contrail::io::detail
