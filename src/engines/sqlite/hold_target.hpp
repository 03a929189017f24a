#pragma once

#include <filesystem>
#include <memory>

namespace contrail::sqlite {

/// Makes sure that nobody has the database open, keeps others out while the result lives, and brings what an old log or journal holds
/// into the old database first (so that it is whole without them, in case nothing comes of its replacement). Blocks.
/// Fails with `errc::database_locked`, or `errc::file_access_denied`.
std::shared_ptr<void> hold_target(const std::filesystem::path& file);
/// `held` comes from `hold_target`. See `target_hold::before_replacing`.
bool before_replacing(const std::shared_ptr<void>& held) noexcept;

}  // namespace contrail::sqlite
