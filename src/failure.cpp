#include "failure.hpp"

#include <asio/error.hpp>

#include <new>

namespace contrail::detail {

std::error_code code_of(const std::exception_ptr& e) noexcept {
  if (!e) return {};
  try {
    std::rethrow_exception(e);
  } catch (const std::system_error& s) {
    return s.code();
  } catch (const std::bad_alloc&) {
    return make_error_code(errc::out_of_memory);
  } catch (...) {
    return std::make_error_code(std::errc::io_error);
  }
}

bool is_cancelled(std::error_code ec) noexcept {
  return ec == std::error_code(asio::error::operation_aborted) || ec == std::errc::operation_canceled;
}

void rethrow_described(const std::exception_ptr& e, std::string_view operation, std::string_view file) {
  try {
    std::rethrow_exception(e);
  } catch (const error& own) {
    if (!own.details().operation.empty() && (!own.details().file.empty() || file.empty())) throw;
    error_details details = own.details();
    if (details.operation.empty()) details.operation = operation;
    if (details.file.empty()) details.file = file;
    throw error(own.code(), std::move(details));
  } catch (const std::system_error& s) {
    fail(s.code(), std::string(operation), std::string(file));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& other) {
    fail(std::make_error_code(std::errc::io_error), std::string(operation), std::string(file), {}, {}, other.what());
  }
}

}  // namespace contrail::detail
