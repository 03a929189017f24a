#pragma once

#include <string_view>
#include <utility>
#include <vector>

/// What the build system knows about this build.
namespace contrail::cli::build_info {

std::string_view version() noexcept;
std::string_view compiler() noexcept;
std::string_view build_type() noexcept;
/// Build options by name, and whether what they stand for is in this build.
std::vector<std::pair<std::string_view, bool>> options();

}  // namespace contrail::cli::build_info
