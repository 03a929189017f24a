#include "engines/pagestore/format/trailer.hpp"

#include <algorithm>

namespace contrail::pagestore {
namespace {

// The payload of a page, without holes.
constexpr std::size_t mark_at = page_header_bytes;
constexpr std::size_t time_at = 48;
constexpr std::size_t low_at = 56;
constexpr std::size_t high_at = 60;
constexpr std::size_t min_required_at = 64;
constexpr std::size_t max_required_at = 68;
constexpr std::size_t max_committed_at = 72;
constexpr std::size_t pages_at = 76;
constexpr std::size_t database_at = 80;
constexpr std::size_t log_at = 96;
constexpr std::size_t dbtime_at = 112;
constexpr std::size_t end_at = 120;

bool in_bounds(const database_trailer& trailer) noexcept {
  return trailer.low <= last_generation && trailer.high <= last_generation && trailer.min_required <= last_generation &&
         trailer.max_required <= last_generation && trailer.max_committed <= last_generation && trailer.pages >= 1 &&
         trailer.pages <= largest_page_no;
}

}  // namespace

void encode_trailer(const database_trailer& trailer, byte_span page) {
  require_encodable(is_page_size(page.size()) && in_bounds(trailer), "a trailer out of bounds");
  std::fill(page.begin(), page.end(), std::byte{0});
  page_header header;
  header.kind = page_kind::trailer;
  header.dbtime = trailer.dbtime;
  header.signature = trailer.database.random;
  put_page_header(page, header);
  store<std::uint64_t>(page, mark_at, trailer.mark);
  store<std::uint64_t>(page, time_at, trailer.time);
  store<std::uint32_t>(page, low_at, trailer.low);
  store<std::uint32_t>(page, high_at, trailer.high);
  store<std::uint32_t>(page, min_required_at, trailer.min_required);
  store<std::uint32_t>(page, max_required_at, trailer.max_required);
  store<std::uint32_t>(page, max_committed_at, trailer.max_committed);
  store<std::uint32_t>(page, pages_at, trailer.pages);
  put_signature(page, database_at, trailer.database);
  put_signature(page, log_at, trailer.log);
  store<std::uint64_t>(page, dbtime_at, trailer.dbtime);
  seal_page(page);
}

std::optional<database_trailer> decode_trailer(const_byte_span page) noexcept {
  if (!is_page_size(page.size())) {
    return std::nullopt;
  }
  database_trailer trailer;
  trailer.mark = load<std::uint64_t>(page, mark_at);
  trailer.time = load<std::uint64_t>(page, time_at);
  trailer.low = load<std::uint32_t>(page, low_at);
  trailer.high = load<std::uint32_t>(page, high_at);
  trailer.min_required = load<std::uint32_t>(page, min_required_at);
  trailer.max_required = load<std::uint32_t>(page, max_required_at);
  trailer.max_committed = load<std::uint32_t>(page, max_committed_at);
  trailer.pages = load<std::uint32_t>(page, pages_at);
  trailer.database = get_signature(page, database_at);
  trailer.log = get_signature(page, log_at);
  trailer.dbtime = load<std::uint64_t>(page, dbtime_at);
  const page_header header = get_page_header(page);
  if (examine_page(page, 0, trailer.database.random) != page_state::good || header.kind != page_kind::trailer ||
      header.dbtime != trailer.dbtime || header.changed != lgpos{} || !in_bounds(trailer) || !all_zero(page.subspan(end_at))) {
    return std::nullopt;
  }
  return trailer;
}

}  // namespace contrail::pagestore
