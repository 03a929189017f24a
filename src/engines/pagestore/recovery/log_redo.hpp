#pragma once

#include "engines/pagestore/log/log_reader.hpp"
#include "engines/pagestore/recovery/database_set.hpp"
#include "engines/pagestore/recovery/page_redo.hpp"
#include "engines/pagestore/recovery/record_window.hpp"

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>

namespace contrail::pagestore {

/// What each record of the log means for the databases of a set. One strand.
class log_redo {
 public:
  /// `path_of`: the file of a generation, for messages. `window`: bytes of records that are redone together. `set` and `pages` outlive it.
  log_redo(database_set& set, page_redo& pages, std::uint32_t page_size, std::function<std::filesystem::path(std::uint32_t)> path_of,
           std::size_t window = record_window::usual_bytes)
      : set_(set), pages_(pages), page_size_(page_size), path_of_(std::move(path_of)), window_(window) {}

  /// A pass over the log begins.
  void begin();
  /// The record at which the log stands. `counts`: redo has begun; before that, only attach, detach and the like are of interest. What they
  /// bind is opened by the caller. Fails with -501; changes that do not fit are the database's `problem`.
  [[nodiscard]] asio::awaitable<void> take(const log_reader& log, bool counts);
  /// After the last record.
  [[nodiscard]] asio::awaitable<void> finish() { return apply_window(); }
  /// -501 when the log has changed pages that the database does not own.
  [[nodiscard]] asio::awaitable<void> check_page_numbers(recovered_database& d);

 private:
  asio::awaitable<void> apply_window();
  void end_attachment(std::uint32_t id, end_of_attachment how);

  database_set& set_;
  page_redo& pages_;
  const std::uint32_t page_size_;
  const std::function<std::filesystem::path(std::uint32_t)> path_of_;
  record_window window_;
};

}  // namespace contrail::pagestore
