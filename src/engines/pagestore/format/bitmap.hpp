#pragma once

#include "engines/pagestore/format/bytes.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstdint>

/// Which pages of a database are allocated. Bitmap page k is page 1 + k * C and covers the C pages from itself on; bits start at byte 64.
/// Page 1 also holds, at byte 40, how many pages the database owns.
namespace contrail::pagestore {

constexpr std::size_t bitmap_bits_at = 64;
constexpr std::size_t bitmap_pages_at = 40;

/// C: pages that one bitmap page covers.
constexpr std::uint32_t pages_a_bitmap(std::uint32_t page_size) noexcept { return 8 * (page_size - static_cast<std::uint32_t>(bitmap_bits_at)); }
/// The bitmap page that covers `n`.
constexpr page_no bitmap_of(page_no n, std::uint32_t page_size) noexcept {
  return 1 + (n - 1) / pages_a_bitmap(page_size) * pages_a_bitmap(page_size);
}
constexpr bool is_bitmap_page(page_no n, std::uint32_t page_size) noexcept { return bitmap_of(n, page_size) == n; }

/// The bit of page `n`, given the content of its bitmap page.
bool bitmap_get(const_byte_span bitmap_page, page_no n, std::uint32_t page_size) noexcept;
void bitmap_set(byte_span bitmap_page, page_no n, std::uint32_t page_size, bool allocated) noexcept;
/// Is it what an allocated page `n` is: a map where maps stand, data else?
inline bool has_content(const_byte_span page, page_no n, std::uint32_t page_size) noexcept {
  return get_page_header(page).kind == (is_bitmap_page(n, page_size) ? page_kind::bitmap : page_kind::data);
}
inline std::uint32_t bitmap_pages(const_byte_span page_one) noexcept { return load<std::uint32_t>(page_one, bitmap_pages_at); }
inline void set_bitmap_pages(byte_span page_one, std::uint32_t n) noexcept { store<std::uint32_t>(page_one, bitmap_pages_at, n); }

}  // namespace contrail::pagestore
