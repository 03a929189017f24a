#pragma once

#include <asio/buffer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// SQLite's write-ahead log as bytes: a header of 32 bytes, then frames of 24 + page bytes. https://www.sqlite.org/walformat.html
namespace contrail::sqlite {

constexpr std::size_t wal_header_bytes = 32;
constexpr std::size_t wal_frame_header_bytes = 24;
constexpr std::size_t database_header_bytes = 100;

std::uint32_t read_big_endian(const unsigned char* from) noexcept;
/// A power of two from 512 to 65536?
bool is_page_size(std::uint32_t bytes) noexcept;

/// The running checksum of the log: a pair over words of 32 bits.
struct wal_sums {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  friend constexpr bool operator==(const wal_sums&, const wal_sums&) = default;
};
/// Continues `sums` over `bytes` (a multiple of 8) in the byte order that the header names.
wal_sums add_to_sums(wal_sums sums, const unsigned char* from, std::size_t bytes, bool big_endian) noexcept;

struct wal_header {
  bool big_endian = false;         ///< byte order of the words in checksums
  std::uint32_t page_bytes = 0;
  std::uint32_t salt1 = 0;         ///< rises by one at every restart
  std::uint32_t salt2 = 0;         ///< random
  wal_sums sums;                   ///< of the header itself; where the frames' chain starts
};
/// Nothing when the bytes are no header that SQLite would accept: the log is then empty for it.
std::optional<wal_header> parse_wal_header(std::string_view bytes) noexcept;

/// Fields of the database's first page.
struct database_header {
  std::uint32_t page_bytes = 0;
  unsigned write_version = 0;      ///< 1: rollback journal, 2: write-ahead log
  unsigned read_version = 0;
  std::uint32_t pages = 0;         ///< 0: not to be believed (written by a version before 3.7.0)
};
/// Nothing when the bytes (at least 100) do not begin a SQLite database.
std::optional<database_header> parse_database_header(std::string_view bytes) noexcept;

/// Follows the chain of frames through consecutive pieces of any length, in a few hundred bytes of memory. The chain ends at the first
/// frame with other salts, page number 0 or a wrong checksum, as it does for SQLite; what comes behind is ignored.
class wal_walker {
 public:
  /// `watch`: remember the running checksum at this frame (count from 1).
  explicit wal_walker(std::uint32_t watch = 0) noexcept : watch_(watch) {}

  /// Called for each frame whose checksum is right: its number from 1, page, and database pages after the commit (0: no commit).
  /// Not owning: the callable must outlive the walker's use.
  template <typename OnFrame>
  void feed(asio::const_buffer piece, OnFrame&& on_frame) {
    const auto* at = static_cast<const unsigned char*>(piece.data());
    std::size_t left = piece.size();
    while (left != 0 && !ended_) {
      const std::size_t taken = step(at, left);
      at += taken;
      left -= taken;
      if (frame_done_) {
        frame_done_ = false;
        on_frame(frames_, last_page_, last_commit_);
      }
    }
  }

  const std::optional<wal_header>& header() const noexcept { return header_; }
  /// The header's bytes as they were fed; shorter when less was fed.
  std::string_view header_bytes() const noexcept { return {reinterpret_cast<const char*>(head_.data()), header_fill_}; }
  std::uint32_t good_frames() const noexcept { return frames_; }
  /// Up to and with the last commit.
  std::uint32_t committed_frames() const noexcept { return committed_; }
  std::uint32_t committed_pages() const noexcept { return committed_pages_; }
  wal_sums committed_sums() const noexcept { return committed_sums_; }
  /// Bytes up to and with the last commit; 0 without a commit.
  std::uint64_t committed_bytes() const noexcept { return frame_offset(committed_); }
  /// Where frame `count` + 1 begins; 0 for none.
  std::uint64_t frame_offset(std::uint32_t count) const noexcept;
  /// Checksum at the watched frame, when the chain reached it.
  const std::optional<wal_sums>& watched() const noexcept { return watched_; }

 private:
  std::size_t step(const unsigned char* at, std::size_t left) noexcept;
  void end_frame() noexcept;

  std::uint32_t watch_;
  std::optional<wal_header> header_;
  std::array<unsigned char, wal_header_bytes> head_{};
  std::size_t header_fill_ = 0;
  std::array<unsigned char, wal_frame_header_bytes> frame_head_{};
  std::size_t frame_fill_ = 0;                 ///< bytes of the running frame, its header included
  std::array<unsigned char, 8> carry_{};       ///< words that a piece's end cut apart
  std::size_t carry_fill_ = 0;
  wal_sums sums_;                              ///< of all good frames
  wal_sums running_;                           ///< with the running one
  std::uint32_t frames_ = 0;
  std::uint32_t last_page_ = 0, last_commit_ = 0;
  std::uint32_t committed_ = 0, committed_pages_ = 0;
  wal_sums committed_sums_;
  std::optional<wal_sums> watched_;
  bool frame_done_ = false;
  bool ended_ = false;
};

/// Which pages of a range behind the end of the database's file the log has: a bit each, for at most `limit` pages.
class page_coverage {
 public:
  static constexpr std::uint64_t limit = std::uint64_t{1} << 24;   ///< 2 MiB of bits

  /// Pages 1 to `present` are in the file.
  explicit page_coverage(std::uint64_t present) noexcept : present_(present) {}
  void add(std::uint32_t page);
  /// The first page up to `pages` that neither the file nor the log has; nothing when all are there (as far as `limit` goes). The page
  /// of SQLite's lock bytes is never written and never missed.
  std::optional<std::uint64_t> first_missing(std::uint64_t pages, std::uint32_t page_bytes) const noexcept;

 private:
  std::uint64_t present_;
  std::string bits_;
};

}  // namespace contrail::sqlite
