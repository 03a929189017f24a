#pragma once

#include "engines/pagestore/cache/page_buffer.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/recovery/database_set.hpp"

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace contrail::pagestore {

/// One change that the log tells, for a database that takes part.
struct redo_change {
  redo_change() = default;
  std::shared_ptr<recovered_database> database;
  page_change change;    ///< refers to the record, which must stay until the change is applied
  lgpos at;
};

/// Redo: changes are applied to pages in the order of the log, decided by the pages' dbtime.
///
/// First it only proves that all changes fit: with the pages in memory as long as they fit, after that with what is needed to decide alone: about 100
/// bytes for each page that the log changes (72 of the table's node, the allocator's and the bucket), which nothing bounds. Only then may anything be written: what is in memory when all of it is, else in a second pass.
/// One strand.
class page_redo : public std::enable_shared_from_this<page_redo> {
 public:
  struct limits {
    std::uint32_t page_size = 0;
    std::uint64_t pages = 0;          ///< in memory
    unsigned reads = 32;              ///< in flight
    unsigned writes = 32;
  };
  page_redo(asio::any_io_executor strand, limits how) : strand_(std::move(strand)), how_(how) {}

  /// Changes that do not fit are the database's `problem`, -566 or -567; nothing more is redone in it. Fails with what the system said of a read.
  [[nodiscard]] asio::awaitable<void> apply(const std::vector<redo_change>& changes);
  /// Nothing of it is of interest any more.
  void forget(const recovered_database& d);
  /// After the last change: fails with -1018 or -1118 when a page has stayed unreadable.
  void require_readable() const;
  /// Everything is in memory: no second pass is needed.
  bool complete() const noexcept { return mode_ == mode::keep; }
  /// Forgets all; pages may be written from now on, before everything is applied.
  void begin_second_pass();
  /// Writes every page that the log changes, also those that had the changes. The files are long enough, and are synced by the caller.
  [[nodiscard]] asio::awaitable<void> write_changed();

  std::uint64_t applied = 0;          ///< changes
  std::uint64_t pages_read = 0;
  std::uint64_t pages_written = 0;
  std::uint64_t pages_repaired = 0;   ///< torn ones that an image has made whole

 private:
  enum class mode : std::uint8_t { keep, prove, write };
  struct page {
    page() = default;
    std::shared_ptr<recovered_database> database;
    page_no number = 0;
    page_state state = page_state::blank;
    bool changed = false;
    std::uint64_t dbtime = 0;
    lgpos at;
    std::unique_ptr<page_buffer> content;
  };
  struct key {
    const recovered_database* database = nullptr;
    page_no number = 0;
    friend bool operator==(const key&, const key&) = default;
  };
  struct hash {
    std::size_t operator()(const key& k) const noexcept {
      return std::hash<const void*>()(k.database) ^ (std::size_t{k.number} * 0x9e3779b97f4a7c15U);
    }
  };
  struct work;

  void apply_one(const redo_change& c, page& p);
  static void write_again(page& p) noexcept;
  void see_page_one(page& p) const;
  bool keeps(const page& p) const noexcept { return mode_ != mode::prove || p.number == 1; }
  asio::awaitable<void> make_room(std::size_t more);
  asio::awaitable<void> read_all(std::vector<page*> pages);
  static asio::awaitable<void> read_some(std::shared_ptr<page_redo> self, std::shared_ptr<work> todo);
  static asio::awaitable<void> write_some(std::shared_ptr<page_redo> self, std::shared_ptr<work> todo);
  std::size_t at_once() const noexcept;

  asio::any_io_executor strand_;
  limits how_;
  mode mode_ = mode::keep;
  std::unordered_map<key, page, hash> pages_;
};

}  // namespace contrail::pagestore
