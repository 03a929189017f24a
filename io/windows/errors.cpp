#include "windows/errors.hpp"

#include <windows.h>

namespace contrail::io::detail {

namespace {

/// The standard library's table takes some codes for conditions on which decisions rest: a network that is gone for a file that is not there,
/// a damaged directory for a name that is taken. Those are none of them.
bool misleads(const std::error_code& ec) noexcept {
  return ec == std::errc::no_such_file_or_directory || ec == std::errc::file_exists || ec == std::errc::no_space_on_device ||
         ec == std::errc::resource_unavailable_try_again || ec == std::errc::interrupted;
}

}  // namespace

std::error_code windows_error(unsigned long code) noexcept {
  switch (code) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return std::make_error_code(std::errc::no_such_file_or_directory);
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return std::make_error_code(std::errc::file_exists);
    case ERROR_DIRECTORY: return std::make_error_code(std::errc::not_a_directory);
    case ERROR_DIR_NOT_EMPTY: return std::make_error_code(std::errc::directory_not_empty);
    case ERROR_FILENAME_EXCED_RANGE:
    case ERROR_BUFFER_OVERFLOW: return std::make_error_code(std::errc::filename_too_long);
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME: return std::make_error_code(std::errc::invalid_argument);
    case ERROR_NOT_SAME_DEVICE: return std::make_error_code(std::errc::cross_device_link);
    case ERROR_NOT_SUPPORTED:
    case ERROR_INVALID_FUNCTION: return std::make_error_code(std::errc::operation_not_supported);
    case ERROR_WRITE_PROTECT: return std::make_error_code(std::errc::read_only_file_system);
    // Somebody's lock on a range: not to be asked for again at once.
    case ERROR_LOCK_VIOLATION: return std::make_error_code(std::errc::device_or_resource_busy);
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case 1295 /* ERROR_DISK_QUOTA_EXCEEDED, which older headers lack */: return std::make_error_code(std::errc::no_space_on_device);
    case ERROR_FILE_TOO_LARGE: return std::make_error_code(std::errc::file_too_large);
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_INVALID_USER_BUFFER:   // too many transfers at once
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_WORKING_SET_QUOTA:
    case ERROR_NOT_ENOUGH_QUOTA: return std::make_error_code(std::errc::not_enough_memory);
    case ERROR_NOT_READY:
    case ERROR_CRC:
    case ERROR_SECTOR_NOT_FOUND:
    case ERROR_WRITE_FAULT:
    case ERROR_READ_FAULT:
    case ERROR_GEN_FAILURE:
    case ERROR_IO_DEVICE:
    case ERROR_DISK_OPERATION_FAILED:
    case ERROR_FILE_CORRUPT:
    case ERROR_DISK_CORRUPT:
    case 483 /* ERROR_DEVICE_HARDWARE_ERROR */: return std::make_error_code(std::errc::io_error);
    case ERROR_REM_NOT_LIST:
    case ERROR_BAD_NETPATH:
    case ERROR_NETWORK_BUSY:
    case ERROR_DEV_NOT_EXIST:
    case ERROR_UNEXP_NET_ERR:
    case ERROR_NETNAME_DELETED:
    case ERROR_BAD_NET_NAME:
    case ERROR_SEM_TIMEOUT:
    case ERROR_NETWORK_UNREACHABLE:
    case ERROR_HOST_UNREACHABLE:
    case ERROR_CONNECTION_ABORTED: return std::make_error_code(std::errc::network_down);
    default: break;
  }
  const std::error_code plain(static_cast<int>(code), std::system_category());
  return misleads(plain) ? std::make_error_code(std::errc::io_error) : plain;
}

std::error_code last_error() noexcept { return windows_error(::GetLastError()); }

void fail_now() { throw std::system_error(last_error()); }

void check(int succeeded) {
  if (succeeded == 0) fail_now();
}

}  // namespace contrail::io::detail
