#pragma once

#include <contrail/io/file_system.hpp>
#include <contrail/restorer.hpp>
#include "format/storable_names.hpp"

#include <asio/awaitable.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::operations {

/// Puts recovered files in their places.
///
/// What a kill at any moment leaves:
/// - Before place(): the old files, and a hidden directory whose lock is free. Held targets were only merged with their own companions
///   by `restorer::hold_target`, so that each is whole by itself.
/// - In place(), for each file in turn: (1) the companions of the old file are removed. It does not need them any more, and is held, so
///   that nobody makes new ones: the old state, whole. (2) The directory is synced, so that no crash brings a companion back beside what
///   comes in (3). (3) One rename replaces the old file by the new one, which was synced before under its hidden name: either the old
///   file or the new one, never a part. A new file that had no predecessor comes into a place without companions, by the same steps.
/// So never does a new database stand beside an old log. Between two files of one set a kill leaves one of them new and the other old,
/// each whole.
class placement {
 public:
  /// `memory`: for the names of a set, where capital and small letters are not told apart.
  placement(io::file_system fs, restorer& with, std::filesystem::path into, bool overwrite, std::size_t memory, std::string operation);

  /// Is the place of this file free, or may it be made free? Fails with `errc::set_exists` or `errc::unsafe_path`, with `errc::invalid_path`
  /// for a name that the system cannot store or takes for one that was looked at before. Writes nothing.
  [[nodiscard]] asio::awaitable<void> look_at(std::string name, file_role role);
  /// Keeps others out of the files that will be replaced. Fails with `errc::database_locked`.
  [[nodiscard]] asio::awaitable<void> hold_existing();
  /// Renames `names` from `work` to their places and syncs the directories. Disables cancellation for the rest of the coroutine.
  [[nodiscard]] asio::awaitable<void> place(const std::filesystem::path& work, const std::vector<std::string>& names);
  /// Takes away what place() put where nothing was before, and directories that it made. Cancellation must be disabled.
  [[nodiscard]] asio::awaitable<void> undo();
  /// Lets go of what is held.
  void release() { held_.clear(); }

 private:
  asio::awaitable<bool> is_there(std::string name, bool companion);
  asio::awaitable<bool> remove_companions(std::string name);
  asio::awaitable<void> place_one(const std::filesystem::path& work, const std::string& name);

  io::file_system fs_;
  restorer& with_;
  const std::filesystem::path into_;
  const bool overwrite_;
  const std::string operation_;
  const std::size_t memory_;
  storable_names names_;
  std::map<std::string, std::shared_ptr<void>> held_;   ///< the targets that exist
  std::vector<std::filesystem::path> made_;             ///< directories, outermost first
  std::vector<std::string> fresh_;                      ///< names of files that had no predecessor; a path takes several times the room
};

/// "uid:gid" into `out`; leaves it alone when the text is no such thing.
void parse_owner(std::string_view text, io::attributes& out) noexcept;

}  // namespace contrail::operations
