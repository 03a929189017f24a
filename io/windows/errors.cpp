#include "windows/errors.hpp"

#include <windows.h>

namespace contrail::io::detail {

std::error_code windows_error(unsigned long code) noexcept {
  switch (code) {
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return std::make_error_code(std::errc::file_exists);
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return std::make_error_code(std::errc::no_such_file_or_directory);
    case ERROR_DIRECTORY: return std::make_error_code(std::errc::not_a_directory);
    case ERROR_DIR_NOT_EMPTY: return std::make_error_code(std::errc::directory_not_empty);
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return std::make_error_code(std::errc::no_space_on_device);
    case 1295 /* ERROR_DISK_QUOTA_EXCEEDED, which older headers lack */: return std::make_error_code(std::errc::no_space_on_device);
    case ERROR_FILENAME_EXCED_RANGE:
    case ERROR_BUFFER_OVERFLOW: return std::make_error_code(std::errc::filename_too_long);
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME: return std::make_error_code(std::errc::invalid_argument);
    case ERROR_LOCK_VIOLATION: return std::make_error_code(std::errc::resource_unavailable_try_again);
    case ERROR_NOT_SAME_DEVICE: return std::make_error_code(std::errc::cross_device_link);
    case ERROR_NOT_SUPPORTED:
    case ERROR_INVALID_FUNCTION: return std::make_error_code(std::errc::operation_not_supported);
    default: return {static_cast<int>(code), std::system_category()};
  }
}

std::error_code last_error() noexcept { return windows_error(::GetLastError()); }

void fail_now() { throw std::system_error(last_error()); }

void check(int succeeded) {
  if (succeeded == 0) fail_now();
}

}  // namespace contrail::io::detail
