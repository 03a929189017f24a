#pragma once

#include <filesystem>
#include <string>

namespace contrail::cli {

/// Fails when `inner` is `outer` or lies below it, as far as the system tells; with these words.
void refuse_inside(const std::filesystem::path& inner, const std::filesystem::path& outer, const std::string& operation, const std::string& expected,
                   const std::string& found);

}  // namespace contrail::cli
