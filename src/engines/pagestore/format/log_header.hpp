#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The header of a log file: one block of 4096 bytes, never updated.
namespace contrail::pagestore {

constexpr std::size_t log_header_bytes = 4096;

/// Whole 64 KiB, 128 KiB (and 16 pages) to 1 GiB?
constexpr bool is_log_file_size(std::uint64_t bytes, std::uint32_t page_size) noexcept {
  return bytes % (64U << 10U) == 0 && bytes >= (128U << 10U) && bytes >= std::uint64_t{16} * page_size && bytes <= (1U << 30U);
}
/// Three characters of a base name and a NUL?
bool is_stored_base_name(const std::array<char, 4>& name) noexcept;

/// A database that was attached when the file began, or at a checkpoint; there also one that was let go of and may be attached again.
struct attached_database {
  attached_database() = default;
  std::uint32_t id = 0;
  std::uint32_t flags = 0;
  lgpos cleaned;                        ///< of one that was let go of: where
  signature database;
  std::uint64_t dbtime = 0;
  std::string path;                     ///< UTF-8, at most longest_database_path bytes
  friend bool operator==(const attached_database&, const attached_database&) = default;
};
constexpr std::size_t attached_bytes = 660;
constexpr std::uint32_t attached_no_more = 1;   ///< flag: let go of by an end or a recovery; still one of the store's
constexpr std::uint32_t attached_apart = 2;     ///< flag: detached; listed to know it again

/// Six entries of `attached_bytes` from byte 128 of the block.
/// Throws errc::invalid_parameter for a list that `decode_attached` would refuse.
void encode_attached(const std::vector<attached_database>& list, byte_span block);
/// Nothing when a length or an id is out of bounds, or an id stands twice, or the rest up to the block's end is not zero.
std::optional<std::vector<attached_database>> decode_attached(const_byte_span block, std::uint32_t count);

struct log_header {
  log_header() = default;
  std::uint32_t page_size = 0;
  std::uint64_t file_bytes = 0;
  signature log;
  std::uint32_t generation = 0;
  std::uint32_t previous_end = 0;       ///< byte offset behind the previous generation's last sector; 0 for the first
  std::uint64_t created = 0;            ///< nanoseconds since 1970
  std::uint64_t previous_created = 0;
  std::uint64_t previous_chain = 0;
  std::array<char, 4> base_name{};      ///< three characters and a NUL
  std::uint32_t write_unit = 0;         ///< 512 or 4096 bytes
  std::vector<attached_database> attached;
  friend bool operator==(const log_header&, const log_header&) = default;
};

/// Throws errc::invalid_parameter for a header that `decode_log_header` would refuse.
void encode_log_header(const log_header& header, byte_span block);
/// Nothing when it is no valid header: checksum, magic, version, a size or a count out of bounds.
std::optional<log_header> decode_log_header(const_byte_span block);
/// The chain value that a file with this block begins with.
std::uint64_t first_chain(const_byte_span block) noexcept;

}  // namespace contrail::pagestore
