#pragma once

#include <contrail/engines/pagestore/types.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Names of an instance's files.
namespace contrail::pagestore {

/// "edb0000A.log": five hexadecimal digits, eight from 0x100000 on.
std::string log_name(std::string_view base, std::uint32_t generation);
/// The generation of a numbered log; nothing for another name, and for a number in another form.
std::optional<std::uint32_t> generation_of(std::string_view base, std::string_view name);
inline std::string current_log_name(std::string_view base) { return std::string(base) + ".log"; }
inline std::string prepared_log_name(std::string_view base) { return std::string(base) + "tmp.log"; }
inline std::string checkpoint_name(std::string_view base) { return std::string(base) + ".chk"; }
inline std::string lock_name(std::string_view base) { return std::string(base) + ".lock"; }
/// Behind the name of a database that is being made.
constexpr std::string_view unfinished_suffix = ".creating";
/// Three characters of a to z and 0 to 9.
bool is_base_name(std::string_view base) noexcept;
/// The base name of the store whose log (current or numbered) or checkpoint is called so; nothing for another name.
std::optional<std::string> base_of(std::string_view name);

}  // namespace contrail::pagestore
