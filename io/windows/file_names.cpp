#include <contrail/io/file_names.hpp>

#include "common/windows_names.hpp"

#include <windows.h>

namespace contrail::io {

std::string_view why_not_a_file_name(std::string_view component) noexcept { return detail::why_not_a_windows_name(component); }

bool file_names_fold() noexcept { return true; }

std::string fold_file_name(std::string_view path) { return detail::windows_fold(path); }

std::string to_text(const std::filesystem::path& path) {
  const std::wstring& wide = path.native();
  const auto units = static_cast<int>(wide.size());
  const int bytes = ::WideCharToMultiByte(CP_UTF8, 0, wide.data(), units, nullptr, 0, nullptr, nullptr);
  std::string out(static_cast<std::size_t>(bytes), '\0');
  ::WideCharToMultiByte(CP_UTF8, 0, wide.data(), units, out.data(), bytes, nullptr, nullptr);
  return out;
}

std::filesystem::path temporary_directory() {
  std::wstring out(MAX_PATH + 1, L'\0');
  const DWORD length = ::GetTempPathW(static_cast<DWORD>(out.size()), out.data());
  if (length == 0 || length >= out.size()) return L"C:\\Windows\\Temp";
  out.resize(length);
  return out;
}

}  // namespace contrail::io
