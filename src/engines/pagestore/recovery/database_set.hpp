#pragma once

#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/log_record.hpp"

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

/// The databases that a log speaks of, and whether its changes are for them.
namespace contrail::pagestore {

/// What the logs reach from and to.
struct log_reach {
  log_reach() = default;
  signature log;
  std::uint32_t page_size = 0;
  std::uint32_t lowest = 0, highest = 0;        ///< generations
  std::optional<checkpoint_block> checkpoint;
};

struct recovered_database {
  recovered_database() = default;
  attached_database what;                 ///< as the log names it first
  std::string name;                       ///< of the file
  io::held_lock lock;                     ///< keeps other instances away
  database_file file;
  bool takes_part = false;                ///< its pages follow this log
  std::optional<error> problem;           ///< why not, where that matters: when it is still attached at the end of the log
  bool absent = false;                    ///< the problem is that it is not there
  bool met = false;                       ///< the log has it attached somewhere
  bool clean = false;
  std::uint64_t dbtime = 0;               ///< the highest that the header or the log tells
  std::uint64_t logged = 0;               ///< in the log alone
  std::uint32_t pages = 0;                ///< that it owns
  bool page_one_seen = false;
  page_no highest_page = 0;               ///< that the log changes, and where
  lgpos highest_at;
  bool changed = false;                   ///< pages of it were redone
  std::array<backup_record, backup_slots> backups{};
};

class database_set {
 public:
  /// Those that the log names, where it says that they are.
  database_set(io::file_system fs, parameters how, log_reach reach);
  /// These, wherever the log says that they are; all others are passed over.
  explicit database_set(std::vector<std::shared_ptr<recovered_database>> these) : closed_(true), all_(std::move(these)) {}

  /// Opened when it is met first. Fails only with what the system said of a file that is there.
  [[nodiscard]] asio::awaitable<std::shared_ptr<recovered_database>> find(attached_database what);
  /// Where redo has to begin for the sake of a database that has less than the checkpoint promises.
  std::optional<lgpos> needed_start() const noexcept { return needed_start_; }

  // Which number means which database, at one place of the log.
  /// `record`: by an attach record there, whose dbtime is that of the file at this place; none: by a list, whose dbtime is a lower bound.
  void bind(const attached_database& what, std::optional<lgpos> record = std::nullopt);
  void unbind(std::uint32_t id) noexcept;
  void unbind_all() noexcept;
  /// Opens those that are bound.
  [[nodiscard]] asio::awaitable<void> open_bound();
  /// Null: nothing has this number, or it was not opened yet.
  const std::shared_ptr<recovered_database>& bound(std::uint32_t id) const noexcept;
  std::vector<std::shared_ptr<recovered_database>> bound_ones() const;

  const std::vector<std::shared_ptr<recovered_database>>& all() const noexcept { return all_; }

 private:
  struct binding {
    binding() = default;
    bool used = false;
    std::optional<lgpos> record;
    attached_database what;
    std::shared_ptr<recovered_database> database;
  };
  std::shared_ptr<recovered_database> find_given(attached_database what);
  void judge(recovered_database& d);

  const bool closed_ = false;
  std::optional<io::file_system> fs_;
  const parameters how_;
  const log_reach reach_;
  std::vector<std::shared_ptr<recovered_database>> all_;
  std::array<binding, most_databases + 1> bindings_;
  std::optional<lgpos> needed_start_;
};

}  // namespace contrail::pagestore
