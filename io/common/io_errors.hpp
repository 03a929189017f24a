#pragma once

#include <system_error>

namespace contrail::io::detail {

/// What no code of the system says.
enum class io_errc {
  cancelled_by_system = 1,     ///< as a condition: std::errc::io_error
  short_name_of_another = 2,   ///< std::errc::file_exists
};

std::error_code make_error_code(io_errc e) noexcept;

}  // namespace contrail::io::detail

template <>
struct std::is_error_code_enum<contrail::io::detail::io_errc> : std::true_type {};
