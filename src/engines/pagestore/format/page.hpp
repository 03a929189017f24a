#pragma once

#include "engines/pagestore/format/bytes.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstdint>

/// A page of a database file (design: docs/pagestore.md, "Pages").
namespace contrail::pagestore {

constexpr std::size_t page_header_bytes = 40;
constexpr page_no largest_page_no = 0xfffffffe;

enum class page_kind : std::uint16_t { data = 1, bitmap = 2, free = 3, trailer = 4 };

/// Is it 4096, 8192, 16384 or 32768?
constexpr bool is_page_size(std::uint64_t bytes) noexcept {
  return bytes == 4096 || bytes == 8192 || bytes == 16384 || bytes == 32768;
}
constexpr std::uint64_t page_offset(page_no n, std::uint32_t page_size) noexcept { return (std::uint64_t{n} + 1) * page_size; }

struct page_header {
  page_no number = 0;
  page_kind kind = page_kind::data;
  std::uint64_t dbtime = 0;
  lgpos changed;
  std::uint64_t signature = 0;   ///< random part of the database's
};

page_header get_page_header(const_byte_span page) noexcept;
/// All but the checksum.
void put_page_header(byte_span page, const page_header& header) noexcept;
/// Position and checksum, before the page is written.
void seal_page(byte_span page, lgpos changed) noexcept;
void seal_page(byte_span page) noexcept;

enum class page_state : std::uint8_t {
  good,
  blank,      ///< zeros
  damaged,    ///< checksum, kind or reserved field: -1018
  misplaced,  ///< a good page of another place or database: -1118
};
page_state examine_page(const_byte_span page, page_no number, std::uint64_t signature) noexcept;

}  // namespace contrail::pagestore
