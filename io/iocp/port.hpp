#pragma once

#include "windows/handle.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/windows/overlapped_ptr.hpp>

#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

namespace contrail::io::detail {

struct overlapped_transfer {
  bool write = false;
  std::uint64_t offset = 0;
  void* data = nullptr;
  DWORD bytes = 0;
};

/// What became of a transfer that was given to the system: its record there, or why there is none.
struct begun {
  OVERLAPPED* where = nullptr;
  std::error_code error;
};

/// The completion port on which an execution context waits.
class completion_port {
 public:
  explicit completion_port(asio::any_io_executor ex) : ex_(std::move(ex)) {}

  /// Transfers of this file end here from now on. -1 is none.
  std::error_code adopt(std::intptr_t file) noexcept;

  /// `handler` runs once, on any thread of the context, unless an error is returned.
  template <typename Handler>
  begun begin(std::intptr_t file, const overlapped_transfer& what, Handler handler) noexcept {
    try {
      asio::windows::overlapped_ptr record(*ex_, std::move(handler));
      const std::error_code failed = start(file, what, *record.get());
      if (failed) return {nullptr, failed};
      return {record.release(), {}};
    } catch (...) {
      return {nullptr, std::make_error_code(std::errc::not_enough_memory)};
    }
  }

  void detach() noexcept { ex_.reset(); }

 private:
  static std::error_code start(std::intptr_t file, const overlapped_transfer& what, OVERLAPPED& record) noexcept;

  std::optional<asio::any_io_executor> ex_;
};

}  // namespace contrail::io::detail
