#pragma once

#include <cstdint>
#include <string>

#include <windows.h>

namespace contrail::io::detail {

/// Everybody may read, write, rename and remove what we have open, as on other systems.
inline constexpr DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

class unique_handle {
 public:
  unique_handle() noexcept = default;
  explicit unique_handle(HANDLE handle) noexcept : handle_(handle) {}
  unique_handle(unique_handle&& other) noexcept : handle_(other.release()) {}
  unique_handle& operator=(unique_handle&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~unique_handle() { reset(); }

  explicit operator bool() const noexcept { return handle_ != INVALID_HANDLE_VALUE && handle_ != nullptr; }
  HANDLE get() const noexcept { return handle_; }
  HANDLE release() noexcept {
    const HANDLE out = handle_;
    handle_ = INVALID_HANDLE_VALUE;
    return out;
  }
  void reset(HANDLE handle = INVALID_HANDLE_VALUE) noexcept {
    if (*this) ::CloseHandle(handle_);
    handle_ = handle;
  }

 private:
  HANDLE handle_ = INVALID_HANDLE_VALUE;
};

inline HANDLE as_handle(std::intptr_t native) noexcept { return reinterpret_cast<HANDLE>(native); }
inline std::intptr_t as_native(HANDLE handle) noexcept { return reinterpret_cast<std::intptr_t>(handle); }

/// Empty on failure; GetLastError says why. The path as system_path makes it.
inline unique_handle open_existing(const std::wstring& path, DWORD access, DWORD flags) noexcept {
  return unique_handle(::CreateFileW(path.c_str(), access, share_all, nullptr, OPEN_EXISTING, flags, nullptr));
}

}  // namespace contrail::io::detail
