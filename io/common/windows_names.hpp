#pragma once

#include <string>
#include <string_view>

namespace contrail::io::detail {

/// Why Windows cannot store a file under this name, one component of a path in UTF-8; empty when it can. Words for an error's text.
std::string_view why_not_a_windows_name(std::string_view component) noexcept;

/// Two names with the same fold are taken for one name by a system that does not tell capital letters from small ones. `path`: components
/// with '/' between them, in UTF-8. Folds the letters of Latin, Greek, Cyrillic, Armenian and Georgian scripts and full-width ones, as
/// Windows does: one letter for one letter, so that no "ss" is an "ß". Bytes that are no UTF-8 stay as they are.
std::string windows_fold(std::string_view path);

}  // namespace contrail::io::detail
