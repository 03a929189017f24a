#include "engines/pagestore/format/database_header.hpp"

#include "engines/pagestore/format/page.hpp"

#include <algorithm>
#include <string_view>

namespace contrail::pagestore {
namespace {

constexpr std::string_view magic = "CTRLPGDB";
constexpr std::uint32_t version = 1;
constexpr std::size_t page_size_at = 20;
constexpr std::size_t update_at = 24;
constexpr std::size_t database_at = 32;
constexpr std::size_t log_at = 48;
constexpr std::size_t state_at = 64;
constexpr std::size_t id_at = 68;
constexpr std::size_t min_required_at = 72;
constexpr std::size_t max_required_at = 76;
constexpr std::size_t max_committed_at = 80;
constexpr std::size_t pages_at = 84;
constexpr std::size_t dbtime_at = 88;
constexpr std::size_t attached_at = 96;
constexpr std::size_t cleaned_at = 104;
constexpr std::size_t redo_at = 112;
constexpr std::size_t reserved_at = 120;
constexpr std::size_t backups_at = 128;
constexpr std::size_t backup_bytes = 40;
constexpr std::size_t backup_used_bytes = 28;
constexpr std::size_t end_at = backups_at + backup_slots * backup_bytes;
constexpr std::size_t smallest_page = 4096;

void put_backup(byte_span to, const backup_record& record) noexcept {
  store<std::uint64_t>(to, 0, record.mark);
  store<std::uint64_t>(to, 8, record.time);
  store<std::uint32_t>(to, 16, record.low);
  store<std::uint32_t>(to, 20, record.high);
  store<std::uint32_t>(to, 24, record.type);
}

backup_record get_backup(const_byte_span from) noexcept {
  backup_record record;
  record.mark = load<std::uint64_t>(from, 0);
  record.time = load<std::uint64_t>(from, 8);
  record.low = load<std::uint32_t>(from, 16);
  record.high = load<std::uint32_t>(from, 20);
  record.type = load<std::uint32_t>(from, 24);
  return record;
}

bool in_bounds(const database_header& header) noexcept {
  const auto state = static_cast<std::uint32_t>(header.state);
  const bool generations = header.min_required <= last_generation && header.max_required <= last_generation &&
                           header.max_committed <= last_generation && header.attached.generation() <= last_generation &&
                           header.cleaned.generation() <= last_generation && header.redo.generation() <= last_generation;
  return state >= 1 && state <= 3 && header.id <= most_databases && header.pages <= largest_page_no && generations &&
         std::all_of(header.backups.begin(), header.backups.end(),
                     [](const backup_record& record) { return record.low <= last_generation && record.high <= last_generation; });
}

}  // namespace

void encode_header(const database_header& header, byte_span page) {
  require_encodable(is_page_size(header.page_size) && page.size() == header.page_size && in_bounds(header), "a database header out of bounds");
  std::fill(page.begin(), page.end(), std::byte{0});
  put_magic(page, magic, version);
  store<std::uint32_t>(page, page_size_at, header.page_size);
  store<std::uint64_t>(page, update_at, header.update);
  put_signature(page, database_at, header.database);
  put_signature(page, log_at, header.log);
  store<std::uint32_t>(page, state_at, static_cast<std::uint32_t>(header.state));
  store<std::uint32_t>(page, id_at, header.id);
  store<std::uint32_t>(page, min_required_at, header.min_required);
  store<std::uint32_t>(page, max_required_at, header.max_required);
  store<std::uint32_t>(page, max_committed_at, header.max_committed);
  store<std::uint32_t>(page, pages_at, header.pages);
  store<std::uint64_t>(page, dbtime_at, header.dbtime);
  store<std::uint64_t>(page, attached_at, header.attached.value);
  store<std::uint64_t>(page, cleaned_at, header.cleaned.value);
  store<std::uint64_t>(page, redo_at, header.redo.value);
  for (std::size_t i = 0; i < backup_slots; ++i) {
    put_backup(page.subspan(backups_at + i * backup_bytes, backup_bytes), header.backups[i]);
  }
  seal_block(page);
}

std::optional<database_header> decode_header(const_byte_span page) noexcept {
  if (page.size() < smallest_page || !has_magic(page, magic, version)) {
    return std::nullopt;
  }
  database_header header;
  header.page_size = load<std::uint32_t>(page, page_size_at);
  if (!is_page_size(header.page_size) || header.page_size > page.size()) {
    return std::nullopt;
  }
  page = page.first(header.page_size);
  if (!block_is_sealed(page)) {
    return std::nullopt;
  }
  header.update = load<std::uint64_t>(page, update_at);
  header.database = get_signature(page, database_at);
  header.log = get_signature(page, log_at);
  header.state = static_cast<database_state>(load<std::uint32_t>(page, state_at));
  header.id = load<std::uint32_t>(page, id_at);
  header.min_required = load<std::uint32_t>(page, min_required_at);
  header.max_required = load<std::uint32_t>(page, max_required_at);
  header.max_committed = load<std::uint32_t>(page, max_committed_at);
  header.pages = load<std::uint32_t>(page, pages_at);
  header.dbtime = load<std::uint64_t>(page, dbtime_at);
  header.attached.value = load<std::uint64_t>(page, attached_at);
  header.cleaned.value = load<std::uint64_t>(page, cleaned_at);
  header.redo.value = load<std::uint64_t>(page, redo_at);
  bool reserved = all_zero(page.subspan(reserved_at, backups_at - reserved_at)) && all_zero(page.subspan(end_at));
  for (std::size_t i = 0; i < backup_slots; ++i) {
    const const_byte_span from = page.subspan(backups_at + i * backup_bytes, backup_bytes);
    header.backups[i] = get_backup(from);
    reserved = reserved && all_zero(from.subspan(backup_used_bytes));
  }
  if (!reserved || !in_bounds(header)) {
    return std::nullopt;
  }
  return header;
}

}  // namespace contrail::pagestore
