#pragma once

#include <contrail/engines/pagestore/parameters.hpp>

#include <filesystem>
#include <string>
#include <string_view>

/// How logs and checkpoint name a database: relative to the instance's directory where it lies below that, so that the whole may be moved;
/// else as it is. UTF-8 (bytes, where paths are bytes), with slashes.
namespace contrail::pagestore {

/// `path` as it was given: relative to the instance's directory, or absolute. Fails with -1023 when it is too long for a log, or no Unicode on
/// Windows.
std::string stored_path(const parameters& how, const std::filesystem::path& path);
/// The way back.
std::filesystem::path real_path(const parameters& how, std::string_view stored);
/// What the copy of a database is called in a set: as it is stored where that is relative, else by its last part, told apart by its number.
std::string restore_name(const std::string& stored, std::uint8_t id);

}  // namespace contrail::pagestore
