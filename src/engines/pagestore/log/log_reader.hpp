#pragma once

#include "engines/pagestore/format/bytes.hpp"
#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/log/log_tail.hpp"

#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// One generation of the log, from front to back, and what its end means.
namespace contrail::pagestore {

/// The log is written batch by batch, the next one only when the one before is on stable storage. So it ends at the first batch that is not
/// whole, and behind that place there may be zeros, what an earlier use of the file left, and parts of that one batch; all else is damage.
/// Memory: one batch, 1 MiB otherwise. One strand.
class log_reader {
 public:
  log_reader() = default;
  /// Reads the header. Fails with -528 (no such file), -501 (no valid header, or not the length that it tells), or what the system said.
  [[nodiscard]] static asio::awaitable<log_reader> open(io::file_system fs, std::filesystem::path path);

  const log_header& header() const noexcept { return tail_.header; }
  const std::string& name() const noexcept { return name_; }

  /// Fail when the header is another: -515, -610 (signature), -1213 (page size).
  void expect_generation(std::uint32_t generation) const;
  void expect_log(signature log) const;
  void expect_page_size(std::uint32_t page_size) const;
  /// These three.
  void expect_member(signature log, std::uint32_t generation, std::uint32_t page_size) const;
  /// -515 when this generation does not follow the one that ends so, -590 when only the chain tells.
  void expect_after(const log_tail& previous) const;

  /// The next record; false: there is none any more, and `tail` is known. Fails with -501 and the offset, when something is damaged.
  [[nodiscard]] asio::awaitable<bool> next();
  lgpos position() const noexcept { return position_; }
  const record_header& record() const noexcept { return record_; }
  /// The whole record from its header on, without padding. Valid until the next call of `next`.
  const_byte_span bytes() const noexcept { return bytes_; }

  /// After the last record; `numbered` is the caller's to know.
  const log_tail& tail() const noexcept { return tail_; }
  /// Where its last whole batch begins; `tail().end` when there is none.
  std::uint64_t last_batch_begin() const noexcept { return tail_.batch == 0 ? tail_.end : std::uint64_t{batch_sector_} * 512; }
  /// Do parts of a batch stand behind it that was cut short?
  bool torn() const noexcept { return torn_; }

 private:
  asio::awaitable<bool> next_batch();
  asio::awaitable<void> examine_rest();
  asio::awaitable<void> fill(std::uint32_t sector);
  const_byte_span held(std::uint32_t sector) const noexcept;
  lgpos place(std::size_t payload) const noexcept;
  void unpack();
  [[noreturn]] void damaged(std::uint64_t offset, std::string expected, std::string found) const;

  io::random_access_file file_;
  std::string name_;
  log_tail tail_;
  std::uint32_t sectors_ = 0;              // of the file
  std::uint32_t next_sector_ = 0;          // of the next batch
  std::uint32_t batch_sector_ = 0;         // of the batch in payload_
  std::vector<std::byte> window_;          // bytes of the file
  std::uint32_t window_first_ = 0;         // sector
  std::uint32_t window_sectors_ = 0;
  std::vector<std::byte> payload_;
  std::size_t next_record_ = 0;
  lgpos position_;
  record_header record_;
  const_byte_span bytes_;
  bool ended_ = false;
  bool torn_ = false;
};

}  // namespace contrail::pagestore
