#pragma once

#include "engines/pagestore/cache/page_buffer.hpp"
#include "engines/pagestore/cache/page_holds.hpp"
#include "engines/pagestore/database_file.hpp"
#include "engines/pagestore/log/log_stream.hpp"

#include <contrail/engines/pagestore/types.hpp>
#include "async/event.hpp"

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <system_error>
#include <unordered_map>
#include <vector>

/// Committed pages in memory: read from the databases, changed by commits, written back when their log is durable. One strand.
namespace contrail::pagestore {

/// A committed page as it was at one moment.
struct page_view {
  page_view() = default;
  page_content content;
  std::uint64_t dbtime = 0;
  lgpos changed;              ///< by what is not in the file yet; zero: the file has it
};

class page_cache {
 public:
  /// Gives the file of a database that is attached; null when it is not.
  using file_finder = std::function<database_file*(std::uint8_t id)>;

  struct limits {
    std::uint32_t page_size = 0;
    std::uint64_t pages = 0;
    std::uint32_t writes_in_flight = 0;
  };
  /// `lost`: a write of a page did not reach the file (-1119), or could not be done after many tries (-1022).
  page_cache(const limits& bounds, log_stream& log, file_finder files, std::function<void(std::error_code)> lost);

  /// Reads it where it is not in memory. Fails with -1018, -1118, -1119, or what the system said; naming file and offset.
  [[nodiscard]] asio::awaitable<page_view> get(std::uint8_t id, page_no n);
  /// Reads it where it is not in memory, and keeps it there until `unpin`. See `page_pins`.
  [[nodiscard]] asio::awaitable<void> pin(std::uint8_t id, page_no n);
  void unpin(std::uint8_t id, page_no n) noexcept;
  /// The page as it is in memory; its content is null when it is not.
  page_view peek(std::uint8_t id, page_no n) const;
  /// Is it in memory with changes that the file does not have?
  bool waits(std::uint8_t id, page_no n) const noexcept;
  /// A commit's version. Never waits; `make_room` is for afterwards.
  void install(std::uint8_t id, page_no n, page_content content, std::uint64_t dbtime, lgpos changed);
  /// Waits until the cache is within its bound, writing pages where only that helps.
  [[nodiscard]] asio::awaitable<void> make_room();

  /// Writes every page whose first change that the file lacks is older than `before` (all: the largest lgpos), also those being written; of one
  /// database, or of all (0). Returns when they are in their files, unsynced. Fails with -1808 when a disk has been full for long.
  [[nodiscard]] asio::awaitable<void> write_older(lgpos before, std::uint8_t id);
  /// The file of the database was synced, for everything that was written before.
  void synced(std::uint8_t id, std::uint64_t mark);
  /// To be taken before a sync begins, for `synced`.
  std::uint64_t sync_mark() const noexcept { return written_; }
  /// No write of these pages begins from now on until `release`; returns when none runs any more, which is one write to the disk at most.
  [[nodiscard]] asio::awaitable<void> hold(page_holds::range pages);
  void release(const page_holds::range& pages) noexcept;
  const page_holds& holds() const noexcept { return holds_; }
  /// Forgets the pages of a database that is detached; all of them are in the file.
  void drop(std::uint8_t id);
  /// Waiters are let go with `errc::instance_unavailable`; nothing is written any more.
  void stop() noexcept;

  bool dirty(std::uint8_t id) const noexcept;
  std::uint64_t size() const noexcept { return frames_.size(); }
  bool writes_fail() const noexcept { return failing_ != 0; }

  std::uint64_t pages_read = 0;
  std::uint64_t pages_written = 0;
  std::uint64_t invariants_broken = 0;

 private:
  struct frame {
    std::uint64_t key = 0;
    page_content content;        ///< null: being read
    std::uint64_t dbtime = 0;
    lgpos first;                 ///< of the changes that the file lacks; zero: it lacks none
    lgpos last;
    lgpos writing_first;         ///< of those that are being written; zero: none are
    unsigned pins = 0;
    bool loading = false;        ///< somebody reads it from the file: it stays
    std::list<std::uint64_t>::iterator place;
  };
  struct written_page {
    std::uint64_t dbtime = 0;
    std::uint64_t mark = 0;
  };
  static std::uint64_t key_of(std::uint8_t id, page_no n) noexcept { return (std::uint64_t{id} << 32U) | n; }
  static std::uint8_t id_of(std::uint64_t key) noexcept { return static_cast<std::uint8_t>(key >> 32U); }
  static page_no number_of(std::uint64_t key) noexcept { return static_cast<page_no>(key); }

  frame& insert(std::uint64_t key);
  void erase(std::uint64_t key);
  void touch(frame& f);
  bool held(std::uint64_t key) const noexcept { return !holds_.empty() && holds_.has(id_of(key), number_of(key)); }
  std::uint64_t take_key(std::vector<std::uint64_t>& keys) const noexcept;
  void evict();
  asio::awaitable<void> read(std::uint64_t key);
  asio::awaitable<void> write(std::uint64_t key);
  asio::awaitable<void> write_all(std::vector<std::uint64_t> keys);
  /// Pages that several coroutines write.
  struct work {
    std::vector<std::uint64_t> keys;
    bool failed = false;   ///< of one of them: the others have been cancelled
  };
  static asio::awaitable<void> write_some(page_cache& self, std::shared_ptr<work> todo);
  [[noreturn]] void refuse() const;

  const limits bounds_;
  log_stream& log_;
  file_finder files_;
  std::function<void(std::error_code)> lost_;
  std::unordered_map<std::uint64_t, std::unique_ptr<frame>> frames_;
  std::list<std::uint64_t> order_;        ///< least recently used first
  std::unordered_map<std::uint64_t, written_page> unsynced_;
  std::uint64_t written_ = 0;
  page_holds holds_;
  unsigned failing_ = 0;
  bool stopped_ = false;
  bool cleaning_ = false;
  detail::event changed_;
  detail::event released_;
};

}  // namespace contrail::pagestore
