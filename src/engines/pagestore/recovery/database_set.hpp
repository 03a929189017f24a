#pragma once

#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/let_go_list.hpp"

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/error.hpp>

#include <asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The databases that a log has attached, each from its attachment to its end, and whether the log's changes are for the files that are there.
namespace contrail::pagestore {

/// What the logs reach from and to.
struct log_reach {
  log_reach() = default;
  signature log;
  std::uint32_t page_size = 0;
  std::uint32_t lowest = 0, highest = 0;        ///< generations
  std::optional<checkpoint_block> checkpoint;
};

/// An attachment of a database, as the log tells it. None of what a log has before an attachment, or behind its end, is for the file that is there:
/// it was clean and complete then, and may even be another one.
struct attachment {
  attachment() = default;
  attached_database what;                 ///< its dbtime: that of the file, or with a list at least that
  std::optional<lgpos> record;            ///< where it began; none: before the log is read, by a list
  lgpos listed;                           ///< where that list stands
  lgpos cleaned;                          ///< what the file's header told before, with a record
  signature log;
};

/// By a record of its own; with all others, by the instance's end or a recovery; so long ago that the checkpoint tells it.
enum class end_of_attachment : std::uint8_t { apart, with_all, known };

struct recovered_database {
  recovered_database() = default;
  attachment from;
  std::string name;                       ///< of the file
  io::held_lock lock;                     ///< keeps other instances away
  database_file file;
  bool takes_part = false;                ///< its pages follow this log
  std::optional<error> problem;           ///< why not, where that matters: when it is still attached at the end of the log
  bool absent = false;                    ///< the problem is that it is not there
  bool met = false;                       ///< the log has it attached somewhere
  bool elsewhere = false;                 ///< another store has gone on with it
  bool clean = false;                     ///< it has all that the log has for it
  std::uint64_t dbtime = 0;               ///< the highest that the header or the log tells
  std::uint64_t logged = 0;               ///< in the log alone
  lgpos last_commit;                      ///< where it does
  std::uint32_t pages = 0;                ///< that it owns
  bool page_one_seen = false;
  page_no highest_page = 0;               ///< that the log changes, and where
  lgpos highest_at;
  bool changed = false;                   ///< pages of it were redone
  bool other = false;                     ///< at this place of the log another copy of it is attached, which is not that file
  std::array<backup_record, backup_slots> backups{};

  /// It does not, for this reason; the first one stands.
  void refuse(error why) {
    takes_part = false;
    if (!problem) problem = std::move(why);
  }
};

class database_set {
 public:
  /// Those that the log attaches, where it says that they are. Each is let go of at the end of its attachment.
  database_set(io::file_system fs, parameters how, log_reach reach);
  /// These, wherever the log says that they are; all others are passed over. Attached again in the log, each must go on where it was left.
  explicit database_set(std::vector<std::shared_ptr<recovered_database>> these) : closed_(true), given_(std::move(these)) {}

  /// Where redo has to begin for the sake of a database that has less than the checkpoint promises.
  std::optional<lgpos> needed_start() const noexcept { return needed_start_; }

  // Which number means which database, at one place of the log.
  void bind(attachment what);
  /// The database whose attachment ends there; null: nobody has this number, or it was not opened, or it is a given one.
  std::shared_ptr<recovered_database> unbind(std::uint32_t id, end_of_attachment how);
  /// Opens those that are bound. Whatever keeps one from it is its `problem`.
  [[nodiscard]] asio::awaitable<void> open_bound();
  /// Null: nothing has this number, or it was not opened yet.
  const std::shared_ptr<recovered_database>& bound(std::uint32_t id) const noexcept;
  std::vector<std::shared_ptr<recovered_database>> bound_ones() const;
  /// Those whose attachment has ended and none has begun since, as they were let go of; flagged, but for those that were detached. Of files that
  /// are not as they were then: without a place where they became clean.
  const std::vector<attached_database>& ended() const noexcept { return ended_.entries(); }
  /// The log is read once more from its start: those that are bound now were attached at its end, and no others are opened any more.
  void begin_again();

 private:
  struct binding {
    binding() = default;
    bool used = false;
    attachment what;
    std::shared_ptr<recovered_database> database;
  };
  std::shared_ptr<recovered_database> find_given(const attachment& what);
  static void judge_again(recovered_database& d, const attachment& what);
  std::shared_ptr<recovered_database> find_last(const attachment& what);
  asio::awaitable<std::shared_ptr<recovered_database>> open(attachment what);
  void let_go(const attachment& what, const recovered_database* found, end_of_attachment how);
  void judge(recovered_database& d);
  void judge_clean(recovered_database& d);
  void judge_dirty(recovered_database& d);

  const bool closed_ = false;
  bool decided_ = false;
  std::optional<io::file_system> fs_;
  const parameters how_;
  const log_reach reach_;
  std::vector<std::shared_ptr<recovered_database>> given_;   ///< and those that were attached at the end of the log
  std::array<binding, most_databases + 1> bindings_;
  std::optional<lgpos> needed_start_;
  let_go_list ended_;
};

}  // namespace contrail::pagestore
