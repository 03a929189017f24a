#include "iocp/port.hpp"

#include <asio/error.hpp>
#include <asio/windows/random_access_handle.hpp>

namespace contrail::io::detail {

namespace {

std::error_code native_error() noexcept { return {static_cast<int>(::GetLastError()), std::system_category()}; }

}  // namespace

std::error_code completion_port::adopt(std::intptr_t file) noexcept {
  const HANDLE ours = as_handle(file);
  if (ours == INVALID_HANDLE_VALUE) return {};
  try {
    // Asio closes what it is given. What ends on its port is the open file, which a second handle shares.
    HANDLE second = INVALID_HANDLE_VALUE;
    if (::DuplicateHandle(::GetCurrentProcess(), ours, ::GetCurrentProcess(), &second, 0, FALSE, DUPLICATE_SAME_ACCESS) == 0) {
      return native_error();
    }
    unique_handle duplicate(second);
    asio::windows::random_access_handle device(*ex_);
    std::error_code failed;
    device.assign(duplicate.get(), failed);
    if (!failed) duplicate.release();
    return failed;
  } catch (const std::system_error& e) {
    return e.code();
  } catch (...) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

std::error_code completion_port::start(std::intptr_t file, const overlapped_transfer& what, OVERLAPPED& record) noexcept {
  record.Offset = static_cast<DWORD>(what.offset);
  record.OffsetHigh = static_cast<DWORD>(what.offset >> 32U);
  // One that the system finished at once is told on the port all the same.
  const BOOL done = what.write ? ::WriteFile(as_handle(file), what.data, what.bytes, nullptr, &record)
                               : ::ReadFile(as_handle(file), what.data, what.bytes, nullptr, &record);
  if (done != 0 || ::GetLastError() == ERROR_IO_PENDING) return {};
  return ::GetLastError() == ERROR_HANDLE_EOF ? std::error_code(asio::error::eof) : native_error();
}

}  // namespace contrail::io::detail
