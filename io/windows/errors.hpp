#pragma once

#include <system_error>

namespace contrail::io::detail {

/// A code of GetLastError. In std::system_category(), but for those that the contract gives a name which the standard library's table does
/// not: they become conditions of std::errc.
std::error_code windows_error(unsigned long code) noexcept;
std::error_code last_error() noexcept;
/// Throws std::system_error with last_error().
[[noreturn]] void fail_now();
void check(int succeeded);

}  // namespace contrail::io::detail
