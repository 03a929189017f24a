#include "engines/pagestore/format/log_record.hpp"

#include "engines/pagestore/format/record_layout.hpp"

#include <algorithm>
#include <cassert>

namespace contrail::pagestore {
namespace {

bool is_known(std::uint8_t type) noexcept {
  return (type >= static_cast<std::uint8_t>(record_type::commit) && type <= static_cast<std::uint8_t>(record_type::end_of_generation)) ||
         type == static_cast<std::uint8_t>(record_type::backup);
}

/// Is `record` one of this type, and as long as it says?
bool is_whole(const_byte_span record, record_type type) noexcept {
  return record.size() >= record_header_bytes && load<std::uint32_t>(record, layout::length_at) == record.size() &&
         load<std::uint8_t>(record, layout::type_at) == static_cast<std::uint8_t>(type);
}

/// Takes bytes from the front of what is left. A part that is not there is nothing.
class part_reader {
 public:
  explicit part_reader(const_byte_span rest) : rest_(rest) {}
  std::size_t left() const noexcept { return rest_.size(); }
  std::optional<const_byte_span> take(std::size_t bytes) noexcept {
    if (bytes > rest_.size()) {
      return std::nullopt;
    }
    const const_byte_span part = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return part;
  }
  /// Zeros up to a multiple of 8 bytes behind a part of `length`.
  bool skip_padding(std::size_t length) noexcept {
    const std::optional<const_byte_span> zeros = take(padded(length) - length);
    return zeros && all_zero(*zeros);
  }

 private:
  const_byte_span rest_;
};

std::optional<std::vector<touched_database>> read_touched(part_reader& from, std::size_t count) {
  if (count > most_databases) {
    return std::nullopt;
  }
  std::vector<touched_database> databases;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<const_byte_span> part = from.take(layout::touched_bytes);
    if (!part || !all_zero(part->subspan(1, 7))) {
      return std::nullopt;
    }
    databases.push_back({load<std::uint8_t>(*part, 0), load<std::uint64_t>(*part, 8)});
  }
  if (!layout::are_touched(databases)) {
    return std::nullopt;
  }
  return databases;
}

/// The body of an image; the bytes it takes, or nothing.
std::optional<std::size_t> read_image(part_reader& from, std::uint32_t page_size, page_change& change) {
  const std::optional<const_byte_span> head = from.take(layout::image_bytes);
  if (!head || !layout::is_logged_kind(load<std::uint16_t>(*head, 0)) || load<std::uint16_t>(*head, 6) != 0) {
    return std::nullopt;
  }
  change.page = static_cast<page_kind>(load<std::uint16_t>(*head, 0));
  change.hole = load<std::uint16_t>(*head, 2);
  change.hole_bytes = load<std::uint16_t>(*head, 4);
  if (change.hole < page_header_bytes || change.hole > page_size || change.hole_bytes > page_size - change.hole) {
    return std::nullopt;
  }
  const std::optional<const_byte_span> front = from.take(change.hole - page_header_bytes);
  const std::optional<const_byte_span> back = from.take(page_size - change.hole - change.hole_bytes);
  if (!front || !back) {
    return std::nullopt;
  }
  change.head = *front;
  change.tail = *back;
  return layout::image_bytes + front->size() + back->size();
}

/// The pieces of a delta, ascending and apart; the bytes they take, or nothing.
std::optional<std::size_t> read_pieces(part_reader& from, std::uint32_t page_size, std::size_t count, page_change& change) {
  if (count > from.left() / (layout::piece_bytes + 1)) {
    return std::nullopt;
  }
  change.pieces.reserve(count);
  std::size_t bytes = 0;
  std::size_t behind = page_header_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::optional<const_byte_span> head = from.take(layout::piece_bytes);
    if (!head) {
      return std::nullopt;
    }
    page_piece piece;
    piece.offset = load<std::uint16_t>(*head, 0);
    const std::size_t length = load<std::uint16_t>(*head, 2);
    if (length == 0 || piece.offset < behind || piece.offset > page_size || length > page_size - piece.offset) {
      return std::nullopt;
    }
    const std::optional<const_byte_span> content = from.take(length);
    if (!content) {
      return std::nullopt;
    }
    piece.content = *content;
    change.pieces.push_back(piece);
    behind = piece.offset + length;
    bytes += layout::piece_bytes + length;
  }
  return bytes;
}

std::optional<std::size_t> read_format(part_reader& from, page_change& change) {
  const std::optional<const_byte_span> body = from.take(layout::format_bytes);
  if (!body || !layout::is_logged_kind(load<std::uint16_t>(*body, 0))) {
    return std::nullopt;
  }
  change.page = static_cast<page_kind>(load<std::uint16_t>(*body, 0));
  return layout::format_bytes;
}

std::optional<std::size_t> read_body(part_reader& from, std::uint32_t page_size, std::size_t count, page_change& change) {
  if (change.kind != change_kind::delta && count != 0) {
    return std::nullopt;
  }
  switch (change.kind) {
    case change_kind::image:
      return read_image(from, page_size, change);
    case change_kind::delta:
      return read_pieces(from, page_size, count, change);
    case change_kind::format:
      return read_format(from, change);
    case change_kind::free:
      change.page = page_kind::free;
      return 0;
  }
  return std::nullopt;
}

bool read_change(part_reader& from, std::uint32_t page_size, std::span<const touched_database> databases, page_change& change) {
  const std::optional<const_byte_span> head = from.take(layout::change_bytes);
  if (!head) {
    return false;
  }
  const std::size_t index = load<std::uint8_t>(*head, 0);
  change.kind = static_cast<change_kind>(load<std::uint8_t>(*head, 1));
  change.number = load<std::uint32_t>(*head, 4);
  change.before = load<std::uint64_t>(*head, 8);
  if (index >= databases.size() || !layout::is_page_no(change.number) || change.before >= databases[index].dbtime) {
    return false;
  }
  change.id = databases[index].id;
  change.after = databases[index].dbtime;
  const std::optional<std::size_t> body = read_body(from, page_size, load<std::uint16_t>(*head, 2), change);
  return body && from.skip_padding(*body);
}

void put_bytes(byte_span page, std::size_t at, const_byte_span content) noexcept {
  assert(at <= page.size() && content.size() <= page.size() - at);
  std::copy(content.begin(), content.end(), page.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

std::optional<record_header> read_record(const_byte_span payload, lgpos at) noexcept {
  if (payload.size() < record_header_bytes) {
    return std::nullopt;
  }
  record_header header;
  header.length = load<std::uint32_t>(payload, layout::length_at);
  const std::uint8_t type = load<std::uint8_t>(payload, layout::type_at);
  header.type = static_cast<record_type>(type);
  header.flags = load<std::uint8_t>(payload, layout::flags_at);
  header.time = load<std::uint64_t>(payload, layout::time_at);
  if (header.length < record_header_bytes || padded(header.length) > payload.size() || !is_known(type) ||
      (header.flags & ~unsigned{layout::known_flags}) != 0 || load<std::uint16_t>(payload, layout::record_reserved_at) != 0 ||
      !all_zero(payload.subspan(header.length, padded(header.length) - header.length)) ||
      load<std::uint64_t>(payload, 0) != checksum(at.value, payload.subspan(8, header.length - 8))) {
    return std::nullopt;
  }
  return header;
}

std::optional<commit_record> read_commit(const_byte_span record, std::uint32_t page_size) {
  if (!is_page_size(page_size) || !is_whole(record, record_type::commit)) {
    return std::nullopt;
  }
  part_reader from(record.subspan(record_header_bytes));
  const std::optional<const_byte_span> head = from.take(layout::commit_head_bytes - record_header_bytes);
  if (!head || load<std::uint16_t>(*head, 2) != 0) {
    return std::nullopt;
  }
  std::optional<std::vector<touched_database>> databases = read_touched(from, load<std::uint16_t>(*head, 0));
  const std::size_t count = load<std::uint32_t>(*head, 4);
  if (!databases || count > from.left() / layout::change_bytes) {
    return std::nullopt;
  }
  commit_record commit;
  commit.databases = std::move(*databases);
  commit.changes.resize(count);
  for (page_change& change : commit.changes) {
    if (!read_change(from, page_size, commit.databases, change)) {
      return std::nullopt;
    }
  }
  if (from.left() != 0) {
    return std::nullopt;
  }
  return commit;
}

std::optional<database_record> read_database_record(const_byte_span record) {
  const bool create = is_whole(record, record_type::create);
  const bool detach = is_whole(record, record_type::detach);
  if (!create && !detach && !is_whole(record, record_type::attach)) {
    return std::nullopt;
  }
  if (detach ? record.size() != layout::detach_bytes : record.size() < layout::path_at) {
    return std::nullopt;
  }
  database_record content;
  content.id = load<std::uint8_t>(record, record_header_bytes);
  content.page_size = load<std::uint32_t>(record, layout::page_size_at);
  content.database = get_signature(record, layout::signature_at);
  if (!detach) {
    content.dbtime = load<std::uint64_t>(record, layout::dbtime_at);
    content.pages = load<std::uint32_t>(record, layout::pages_at);
    const std::size_t length = load<std::uint16_t>(record, layout::path_length_at);
    if (length > longest_database_path || record.size() - layout::path_at != length ||
        load<std::uint16_t>(record, layout::path_reserved_at) != 0) {
      return std::nullopt;
    }
    content.cleaned.value = load<std::uint64_t>(record, layout::cleaned_at);
    content.log = get_signature(record, layout::last_log_at);
    content.path = get_text(record, layout::path_at, length);
  }
  const auto type = static_cast<record_type>(load<std::uint8_t>(record, layout::type_at));
  if (!all_zero(record.subspan(record_header_bytes + 1, 3)) || !layout::is_database_record(content, type) ||
      (!create && (content.page_size != 0 || content.pages != 0))) {
    return std::nullopt;
  }
  return content;
}

std::optional<recovered_record> read_recovered(const_byte_span record) {
  if (!is_whole(record, record_type::recovered)) {
    return std::nullopt;
  }
  part_reader from(record.subspan(record_header_bytes));
  const std::optional<const_byte_span> head = from.take(layout::recovered_head_bytes - record_header_bytes);
  if (!head || !all_zero(head->subspan(10))) {
    return std::nullopt;
  }
  std::optional<std::vector<touched_database>> databases = read_touched(from, load<std::uint16_t>(*head, 8));
  if (!databases || from.left() != 0) {
    return std::nullopt;
  }
  recovered_record content;
  content.end.value = load<std::uint64_t>(*head, 0);
  content.databases = std::move(*databases);
  return content;
}

std::optional<backup_event> read_backup_event(const_byte_span record) {
  if (!is_whole(record, record_type::backup) || record.size() != layout::backup_bytes) {
    return std::nullopt;
  }
  backup_event content;
  content.phase = load<std::uint8_t>(record, record_header_bytes);
  content.scope = load<std::uint8_t>(record, record_header_bytes + 1);
  content.type = load<std::uint8_t>(record, record_header_bytes + 2);
  content.id = load<std::uint8_t>(record, record_header_bytes + 3);
  content.mark = load<std::uint64_t>(record, layout::mark_at);
  content.time = load<std::uint64_t>(record, layout::backup_time_at);
  content.low = load<std::uint32_t>(record, layout::low_at);
  content.high = load<std::uint32_t>(record, layout::high_at);
  if (load<std::uint32_t>(record, record_header_bytes + 4) != 0 || !layout::is_backup_event(content)) {
    return std::nullopt;
  }
  return content;
}

void make_page(const page_change& change, std::uint64_t signature, byte_span page) noexcept {
  assert(change.kind != change_kind::delta);
  std::fill(page.begin(), page.end(), std::byte{0});
  page_header header;
  header.number = change.number;
  header.kind = change.kind == change_kind::free ? page_kind::free : change.page;
  header.dbtime = change.after;
  header.signature = signature;
  put_page_header(page, header);
  if (change.kind == change_kind::image) {
    put_bytes(page, page_header_bytes, change.head);
    put_bytes(page, std::size_t{change.hole} + change.hole_bytes, change.tail);
  }
}

void apply_delta(const page_change& change, byte_span page) noexcept {
  assert(change.kind == change_kind::delta);
  for (const page_piece& piece : change.pieces) {
    put_bytes(page, piece.offset, piece.content);
  }
  page_header header = get_page_header(page);
  header.dbtime = change.after;
  put_page_header(page, header);
}

}  // namespace contrail::pagestore
