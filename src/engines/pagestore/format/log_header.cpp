#include "engines/pagestore/format/log_header.hpp"

#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/format/page.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace contrail::pagestore {
namespace {

constexpr std::string_view magic = "CTRLPGLG";
constexpr std::uint32_t version = 1;
constexpr std::size_t page_size_at = 20;
constexpr std::size_t file_bytes_at = 24;
constexpr std::size_t log_at = 32;
constexpr std::size_t generation_at = 48;
constexpr std::size_t previous_end_at = 52;
constexpr std::size_t created_at = 56;
constexpr std::size_t previous_created_at = 64;
constexpr std::size_t previous_chain_at = 72;
constexpr std::size_t base_name_at = 80;
constexpr std::size_t count_at = 84;
constexpr std::size_t write_unit_at = 88;
constexpr std::size_t reserved_at = 92;
constexpr std::size_t list_at = 128;

// Of an attached database.
constexpr std::size_t flags_at = 4;
constexpr std::size_t database_at = 8;
constexpr std::size_t dbtime_at = 24;
constexpr std::size_t path_length_at = 32;
constexpr std::size_t path_at = 34;
constexpr std::size_t cleaned_at = 640;
static_assert(path_at + longest_database_path <= cleaned_at && cleaned_at + 8 <= attached_bytes && list_at + most_databases * attached_bytes <= log_header_bytes);

bool in_bounds(const attached_database& entry) noexcept {
  return entry.id >= 1 && entry.id <= most_databases && entry.flags <= attached_apart && !entry.path.empty() && entry.path.size() <= longest_database_path;
}

bool in_bounds(const std::vector<attached_database>& list) noexcept {
  unsigned seen = 0;
  for (const attached_database& entry : list) {
    if (!in_bounds(entry) || (seen & (1U << entry.id)) != 0) {
      return false;
    }
    seen |= 1U << entry.id;
  }
  return list.size() <= most_databases;
}

bool in_bounds(const log_header& header) noexcept {
  const std::uint64_t previous = header.previous_end;
  return is_page_size(header.page_size) && is_log_file_size(header.file_bytes, header.page_size) && header.generation >= 1 &&
         header.generation <= last_generation &&
         (previous == 0 || (previous > log_header_bytes && previous <= header.file_bytes && previous % sector_bytes == 0)) &&
         is_stored_base_name(header.base_name) && (header.write_unit == sector_bytes || header.write_unit == log_header_bytes);
}

}  // namespace

bool is_stored_base_name(const std::array<char, 4>& name) noexcept {
  return name[3] == '\0' && is_base_name(std::string_view(name.data(), 3));
}

void encode_attached(const std::vector<attached_database>& list, byte_span block) {
  require_encodable(in_bounds(list) && block.size() >= log_header_bytes, "a list of attached databases out of bounds");
  const byte_span all = block.subspan(list_at, most_databases * attached_bytes);
  std::fill(all.begin(), all.end(), std::byte{0});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const attached_database& entry = list[i];
    const byte_span to = all.subspan(i * attached_bytes, attached_bytes);
    store<std::uint32_t>(to, 0, entry.id);
    store<std::uint32_t>(to, flags_at, entry.flags);
    put_signature(to, database_at, entry.database);
    store<std::uint64_t>(to, dbtime_at, entry.dbtime);
    store<std::uint16_t>(to, path_length_at, static_cast<std::uint16_t>(entry.path.size()));
    put_text(to, path_at, entry.path);
    store<std::uint64_t>(to, cleaned_at, entry.cleaned.value);
  }
}

std::optional<std::vector<attached_database>> decode_attached(const_byte_span block, std::uint32_t count) {
  if (count > most_databases || block.size() < log_header_bytes) {
    return std::nullopt;
  }
  std::vector<attached_database> list(count);
  for (std::size_t i = 0; i < count; ++i) {
    const const_byte_span from = block.subspan(list_at + i * attached_bytes, attached_bytes);
    const std::size_t length = load<std::uint16_t>(from, path_length_at);
    if (length > longest_database_path || !all_zero(from.subspan(path_at + length, cleaned_at - path_at - length)) || !all_zero(from.subspan(cleaned_at + 8))) {
      return std::nullopt;
    }
    list[i].id = load<std::uint32_t>(from, 0);
    list[i].flags = load<std::uint32_t>(from, flags_at);
    list[i].database = get_signature(from, database_at);
    list[i].dbtime = load<std::uint64_t>(from, dbtime_at);
    list[i].path = get_text(from, path_at, length);
    list[i].cleaned.value = load<std::uint64_t>(from, cleaned_at);
  }
  if (!in_bounds(list) || !all_zero(block.subspan(list_at + count * attached_bytes, log_header_bytes - list_at - count * attached_bytes))) {
    return std::nullopt;
  }
  return list;
}

void encode_log_header(const log_header& header, byte_span block) {
  require_encodable(in_bounds(header) && block.size() == log_header_bytes, "a log header out of bounds");
  std::fill(block.begin(), block.end(), std::byte{0});
  put_magic(block, magic, version);
  store<std::uint32_t>(block, page_size_at, header.page_size);
  store<std::uint64_t>(block, file_bytes_at, header.file_bytes);
  put_signature(block, log_at, header.log);
  store<std::uint32_t>(block, generation_at, header.generation);
  store<std::uint32_t>(block, previous_end_at, header.previous_end);
  store<std::uint64_t>(block, created_at, header.created);
  store<std::uint64_t>(block, previous_created_at, header.previous_created);
  store<std::uint64_t>(block, previous_chain_at, header.previous_chain);
  put_text(block, base_name_at, std::string_view(header.base_name.data(), header.base_name.size()));
  store<std::uint32_t>(block, count_at, static_cast<std::uint32_t>(header.attached.size()));
  store<std::uint32_t>(block, write_unit_at, header.write_unit);
  encode_attached(header.attached, block);
  seal_block(block);
}

std::optional<log_header> decode_log_header(const_byte_span block) {
  if (block.size() < log_header_bytes) {
    return std::nullopt;
  }
  block = block.first(log_header_bytes);
  if (!has_magic(block, magic, version) || !block_is_sealed(block)) {
    return std::nullopt;
  }
  log_header header;
  header.page_size = load<std::uint32_t>(block, page_size_at);
  header.file_bytes = load<std::uint64_t>(block, file_bytes_at);
  header.log = get_signature(block, log_at);
  header.generation = load<std::uint32_t>(block, generation_at);
  header.previous_end = load<std::uint32_t>(block, previous_end_at);
  header.created = load<std::uint64_t>(block, created_at);
  header.previous_created = load<std::uint64_t>(block, previous_created_at);
  header.previous_chain = load<std::uint64_t>(block, previous_chain_at);
  for (std::size_t i = 0; i < header.base_name.size(); ++i) {
    header.base_name[i] = static_cast<char>(block[base_name_at + i]);
  }
  header.write_unit = load<std::uint32_t>(block, write_unit_at);
  std::optional<std::vector<attached_database>> list = decode_attached(block, load<std::uint32_t>(block, count_at));
  if (!list || !in_bounds(header) || !all_zero(block.subspan(reserved_at, list_at - reserved_at))) {
    return std::nullopt;
  }
  header.attached = std::move(*list);
  return header;
}

std::uint64_t first_chain(const_byte_span block) noexcept {
  assert(block.size() >= log_header_bytes);
  return checksum(0, block.first(log_header_bytes));
}

}  // namespace contrail::pagestore
