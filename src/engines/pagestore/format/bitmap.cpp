#include "engines/pagestore/format/bitmap.hpp"

#include <cassert>

namespace contrail::pagestore {
namespace {

struct bit_place {
  std::size_t at = 0;
  std::byte mask{};
};

bit_place place_of(const_byte_span bitmap_page, page_no n, std::uint32_t page_size) noexcept {
  assert(n > 0 && bitmap_page.size() == page_size);
  static_cast<void>(bitmap_page);
  const std::uint32_t bit = n - bitmap_of(n, page_size);
  return {bitmap_bits_at + bit / 8, static_cast<std::byte>(1U << (bit % 8))};
}

}  // namespace

bool bitmap_get(const_byte_span bitmap_page, page_no n, std::uint32_t page_size) noexcept {
  const bit_place place = place_of(bitmap_page, n, page_size);
  return (bitmap_page[place.at] & place.mask) != std::byte{0};
}

void bitmap_set(byte_span bitmap_page, page_no n, std::uint32_t page_size, bool allocated) noexcept {
  const bit_place place = place_of(bitmap_page, n, page_size);
  if (allocated) {
    bitmap_page[place.at] |= place.mask;
  } else {
    bitmap_page[place.at] &= ~place.mask;
  }
}

}  // namespace contrail::pagestore
