#include "engines/pagestore/format/checkpoint.hpp"

#include "engines/pagestore/format/page.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace contrail::pagestore {
namespace {

constexpr std::string_view magic = "CTRLPGCK";
constexpr std::uint32_t version = 1;
constexpr std::size_t page_size_at = 20;
constexpr std::size_t update_at = 24;
constexpr std::size_t log_at = 32;
constexpr std::size_t redo_at = 48;
constexpr std::size_t base_name_at = 56;
constexpr std::size_t count_at = 60;
constexpr std::size_t reserved_at = 64;
constexpr std::size_t list_at = 128;
static_assert(checkpoint_bytes == log_header_bytes, "the list of databases stands at the same place in both");

bool in_bounds(const checkpoint_block& value) noexcept {
  return is_page_size(value.page_size) && value.redo.generation() >= 1 && value.redo.generation() <= last_generation &&
         is_stored_base_name(value.base_name);
}

}  // namespace

void encode_checkpoint(const checkpoint_block& value, byte_span block) {
  require_encodable(in_bounds(value) && block.size() == checkpoint_bytes, "a checkpoint out of bounds");
  std::fill(block.begin(), block.end(), std::byte{0});
  put_magic(block, magic, version);
  store<std::uint32_t>(block, page_size_at, value.page_size);
  store<std::uint64_t>(block, update_at, value.update);
  put_signature(block, log_at, value.log);
  store<std::uint64_t>(block, redo_at, value.redo.value);
  put_text(block, base_name_at, std::string_view(value.base_name.data(), value.base_name.size()));
  store<std::uint32_t>(block, count_at, static_cast<std::uint32_t>(value.attached.size()));
  encode_attached(value.attached, block);
  seal_block(block);
}

std::optional<checkpoint_block> decode_checkpoint(const_byte_span block) {
  if (block.size() < checkpoint_bytes) {
    return std::nullopt;
  }
  block = block.first(checkpoint_bytes);
  if (!has_magic(block, magic, version) || !block_is_sealed(block)) {
    return std::nullopt;
  }
  checkpoint_block value;
  value.page_size = load<std::uint32_t>(block, page_size_at);
  value.update = load<std::uint64_t>(block, update_at);
  value.log = get_signature(block, log_at);
  value.redo.value = load<std::uint64_t>(block, redo_at);
  for (std::size_t i = 0; i < value.base_name.size(); ++i) {
    value.base_name[i] = static_cast<char>(block[base_name_at + i]);
  }
  std::optional<std::vector<attached_database>> list = decode_attached(block, load<std::uint32_t>(block, count_at));
  if (!list || !in_bounds(value) || !all_zero(block.subspan(reserved_at, list_at - reserved_at))) {
    return std::nullopt;
  }
  value.attached = std::move(*list);
  return value;
}

}  // namespace contrail::pagestore
