#pragma once

#include <contrail/error.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <system_error>

namespace contrail::detail {

/// The code inside an exception; `errc::out_of_memory` for std::bad_alloc, EIO for strangers.
std::error_code code_of(const std::exception_ptr& e) noexcept;
/// True for the codes of a cancelled operation.
bool is_cancelled(std::error_code ec) noexcept;
/// Makes a `contrail::error` of whatever was thrown; what is missing in its details is filled in. std::bad_alloc stays what it is.
[[noreturn]] void rethrow_described(const std::exception_ptr& e, std::string_view operation, std::string_view file = {});

}  // namespace contrail::detail
