#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace contrail::io {

/// Why the system that the program runs on cannot store a file or directory under this name, in words for an error's text; empty when it
/// can. `component` is one part of a path, in UTF-8 on Windows, as bytes elsewhere. Any thread.
///
/// Everywhere: "", ".", ".." and names with '/' or NUL. On Windows also the names of devices (CON, PRN, AUX, NUL, COM0 to COM9, LPT0 to LPT9,
/// CONIN$, CONOUT$, in any case, with any extension), names that end with a dot or a space, characters below 0x20 and < > : " \ | ? *, bytes
/// that are no UTF-8, and more than 255 units of UTF-16: there such a name reaches a device, or another file, without any error.
std::string_view why_not_a_file_name(std::string_view component) noexcept;

/// Are there names that differ, and are one file to the system? Windows does not tell capital from small letters.
bool file_names_fold() noexcept;

/// What the system's file systems usually take a name for: two names with the same fold are one file. `path`: components with '/' between
/// them. Letters become capitals where `file_names_fold()`; else it is `path` itself.
std::string fold_file_name(std::string_view path);

/// The path with this text: UTF-8 on Windows, bytes elsewhere. (What libstdc++ makes of a char string by
/// itself is no UTF-8 on Windows.) Throws std::filesystem::filesystem_error for what has no form there.
inline std::filesystem::path to_path(std::string_view text) { return std::filesystem::path(std::u8string(text.begin(), text.end())); }

/// The way back, for names that were met and not chosen: a name that is no Unicode, as Windows allows them, gets U+FFFD for what is none
/// (`path::string()` would throw), and leads to no file any more.
std::string to_text(const std::filesystem::path& path);

/// Where the system's own programs put what they need for a short time; whether it is there is found when it is used.
std::filesystem::path temporary_directory();

}  // namespace contrail::io
