#include "common/perform.hpp"

#include "common/file_state.hpp"
#include "windows/errors.hpp"
#include "windows/handle.hpp"

#include <algorithm>
#include <cstddef>
#include <system_error>

namespace contrail::io::detail {

namespace {

/// One transfer; a count of bytes has 32 bits.
constexpr std::size_t most_at_once = 0x7ffff000;

/// By the handle's own, asynchronous way, and waited for.
void transfer(operation& op) {
  const HANDLE file = as_handle(op.io.through_cache ? op.file->native_cached : op.file->native);
  const auto length = static_cast<DWORD>(std::min(op.io.bytes, most_at_once));
  const unique_handle done(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  if (!done) fail_now();
  OVERLAPPED at{};
  at.Offset = static_cast<DWORD>(op.io.offset);
  at.OffsetHigh = static_cast<DWORD>(op.io.offset >> 32U);
  at.hEvent = done.get();
  const BOOL begun = op.what == request::read ? ::ReadFile(file, op.io.data, length, nullptr, &at)
                                              : ::WriteFile(file, op.io.data, length, nullptr, &at);
  DWORD count = 0;
  const bool pending = begun != 0 || ::GetLastError() == ERROR_IO_PENDING;
  if (!pending || ::GetOverlappedResult(file, &at, &count, TRUE) == 0) {
    if (::GetLastError() != ERROR_HANDLE_EOF) fail_now();
  } else if (count == 0 && op.what == request::write && length != 0) {
    throw std::system_error(std::make_error_code(std::errc::io_error));
  }
  op.count = count;
}

std::uint64_t size_of(HANDLE file) {
  LARGE_INTEGER size{};
  check(::GetFileSizeEx(file, &size));
  return static_cast<std::uint64_t>(size.QuadPart);
}

LARGE_INTEGER as_large(std::uint64_t bytes) {
  if (bytes > static_cast<std::uint64_t>(INT64_MAX)) throw std::system_error(std::make_error_code(std::errc::invalid_argument));
  LARGE_INTEGER out{};
  out.QuadPart = static_cast<LONGLONG>(bytes);
  return out;
}

void resize(HANDLE file, std::uint64_t bytes) {
  FILE_END_OF_FILE_INFO end{};
  end.EndOfFile = as_large(bytes);
  check(::SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end));
}

void allocate(HANDLE file, std::uint64_t bytes) {
  // An allocation below the length would cut the file.
  if (bytes <= size_of(file)) return;
  FILE_ALLOCATION_INFO room{};
  room.AllocationSize = as_large(bytes);
  if (::SetFileInformationByHandle(file, FileAllocationInfo, &room, sizeof room) == 0) {
    const std::error_code why = last_error();
    if (why == std::errc::no_space_on_device) throw std::system_error(why);   // else: a file system without such a thing
  }
  resize(file, bytes);
}

void sync(HANDLE file) {
  if (::FlushFileBuffers(file) != 0) return;
  if (::GetLastError() != ERROR_ACCESS_DENIED) fail_now();
  // A handle for reading only may not flush; another of the same file may.
  const unique_handle writing(::ReOpenFile(file, GENERIC_WRITE, share_all, 0));
  if (!writing) fail_now();
  check(::FlushFileBuffers(writing.get()));
}

}  // namespace

void perform_on_file(operation& op) {
  const HANDLE file = as_handle(op.file->native);
  switch (op.what) {
    case request::read:
    case request::write: transfer(op); break;
    case request::sync: sync(file); break;
    case request::allocate: allocate(file, op.offset); break;
    case request::resize: resize(file, op.offset); break;
    case request::size: op.count = size_of(file); break;
    default: throw std::system_error(std::make_error_code(std::errc::invalid_argument));
  }
}

/// The system has no such thing; and no file says here that it could be asked for (`residency`).
void drop_from_cache(const operation&) noexcept {}

void close_file(file_state& file) noexcept {
  unique_handle(as_handle(file.native)).reset();
  unique_handle(as_handle(file.native_cached)).reset();
  file.native = file.native_cached = -1;
}

}  // namespace contrail::io::detail
