#include "engines/pagestore/format/page.hpp"

#include <cassert>

namespace contrail::pagestore {
namespace {

constexpr std::size_t number_at = 8;
constexpr std::size_t kind_at = 12;
constexpr std::size_t reserved_at = 14;
constexpr std::size_t dbtime_at = 16;
constexpr std::size_t changed_at = 24;
constexpr std::size_t signature_at = 32;

}  // namespace

page_header get_page_header(const_byte_span page) noexcept {
  assert(page.size() >= page_header_bytes);
  page_header header;
  header.number = load<std::uint32_t>(page, number_at);
  header.kind = static_cast<page_kind>(load<std::uint16_t>(page, kind_at));
  header.dbtime = load<std::uint64_t>(page, dbtime_at);
  header.changed.value = load<std::uint64_t>(page, changed_at);
  header.signature = load<std::uint64_t>(page, signature_at);
  return header;
}

void put_page_header(byte_span page, const page_header& header) noexcept {
  assert(page.size() >= page_header_bytes);
  store<std::uint32_t>(page, number_at, header.number);
  store<std::uint16_t>(page, kind_at, static_cast<std::uint16_t>(header.kind));
  store<std::uint16_t>(page, reserved_at, 0);
  store<std::uint64_t>(page, dbtime_at, header.dbtime);
  store<std::uint64_t>(page, changed_at, header.changed.value);
  store<std::uint64_t>(page, signature_at, header.signature);
}

void seal_page(byte_span page, lgpos changed) noexcept {
  store<std::uint64_t>(page, changed_at, changed.value);
  seal_page(page);
}

void seal_page(byte_span page) noexcept { seal_block(page); }

page_state examine_page(const_byte_span page, page_no number, std::uint64_t signature) noexcept {
  if (page.size() < page_header_bytes) {
    return page_state::damaged;
  }
  if (all_zero(page)) {
    return page_state::blank;
  }
  const std::uint16_t kind = load<std::uint16_t>(page, kind_at);
  if (!block_is_sealed(page) || kind < static_cast<std::uint16_t>(page_kind::data) ||
      kind > static_cast<std::uint16_t>(page_kind::trailer) || load<std::uint16_t>(page, reserved_at) != 0) {
    return page_state::damaged;
  }
  const page_header header = get_page_header(page);
  if ((header.kind == page_kind::trailer) != (header.number == 0)) {
    return page_state::damaged;
  }
  return header.number == number && header.signature == signature ? page_state::good : page_state::misplaced;
}

}  // namespace contrail::pagestore
