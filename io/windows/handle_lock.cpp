#include "windows/handle_lock.hpp"

#include "windows/errors.hpp"
#include "windows/paths.hpp"

#include <system_error>

namespace contrail::io::detail {

namespace {

[[noreturn]] void say_held() { throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)); }

/// Opens or makes the file. One that is being removed refuses everybody until its last handle is closed, which its remover does at once; so
/// that is tried again for a while. Who keeps it longer, or to himself, holds it.
unique_handle open_lock(const std::wstring& path) {
  constexpr int tries = 50;
  for (int i = 0;; ++i) {
    unique_handle file(::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE | DELETE, share_all, nullptr, OPEN_ALWAYS,
                                     FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
    if (file) return file;
    const DWORD why = ::GetLastError();
    const DWORD attributes = ::GetFileAttributesW(path.c_str());
    const bool there = attributes != INVALID_FILE_ATTRIBUTES;
    if (there && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
    const bool removing = why == ERROR_ACCESS_DENIED && !there;
    if (!removing && why != ERROR_SHARING_VIOLATION) throw std::system_error(windows_error(why));
    if (i == tries) say_held();
    ::Sleep(1);
  }
}

}  // namespace

unique_handle lock_file(const std::filesystem::path& path) {
  const std::wstring name = system_path(path);
  for (;;) {
    unique_handle file = open_lock(name);
    // A byte far behind the end: locks are mandatory here, and the content stays readable.
    OVERLAPPED at{};
    at.OffsetHigh = 0x7fffffff;
    if (::LockFileEx(file.get(), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at) == 0) {
      if (::GetLastError() == ERROR_LOCK_VIOLATION) say_held();
      fail_now();
    }
    // The last holder may have removed the file between our open and our lock.
    FILE_STANDARD_INFO facts{};
    check(::GetFileInformationByHandleEx(file.get(), FileStandardInfo, &facts, sizeof facts));
    if (facts.DeletePending == 0 && facts.NumberOfLinks != 0) return file;
  }
}

void handle_lock::remove_name() noexcept {
  FILE_DISPOSITION_INFO gone{};
  gone.DeleteFile = TRUE;
  ::SetFileInformationByHandle(handle_.get(), FileDispositionInfo, &gone, sizeof gone);
}

}  // namespace contrail::io::detail
