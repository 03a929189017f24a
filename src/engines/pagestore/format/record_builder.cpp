#include "engines/pagestore/format/log_record.hpp"

#include "engines/pagestore/format/record_layout.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

namespace contrail::pagestore {
namespace {

struct byte_run {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The first byte from `at` on that differs; the size when there is none.
std::size_t next_difference(const_byte_span a, const_byte_span b, std::size_t at) noexcept {
  constexpr std::size_t stride = 64;
  while (at + stride <= a.size() && std::memcmp(a.data() + at, b.data() + at, stride) == 0) {
    at += stride;
  }
  while (at < a.size() && a[at] == b[at]) {
    ++at;
  }
  return at;
}

/// The runs that differ, those closer than `piece_gap` as one. Stops when they would take more than `most` bytes in a record; the bytes they
/// take so far.
std::size_t find_runs(const_byte_span old_page, const_byte_span page, std::size_t most, std::vector<byte_run>& runs) {
  std::size_t bytes = 0;
  std::size_t at = next_difference(old_page, page, page_header_bytes);
  while (at < page.size() && bytes <= most) {
    byte_run run{at, at + 1};
    std::size_t next = next_difference(old_page, page, run.end);
    while (next < page.size() && next - run.end < layout::piece_gap) {
      run.end = next + 1;
      next = next_difference(old_page, page, run.end);
    }
    runs.push_back(run);
    bytes += layout::piece_bytes + (run.end - run.begin);
    at = next;
  }
  return bytes;
}

/// The longest run of zeros in the payload; an empty one at its beginning when there is none.
byte_run find_hole(const_byte_span page) noexcept {
  byte_run hole{page_header_bytes, page_header_bytes};
  std::size_t at = page_header_bytes;
  while (at < page.size()) {
    if (page[at] != std::byte{0}) {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    while (end < page.size() && page[end] == std::byte{0}) {
      ++end;
    }
    if (end - at > hole.end - hole.begin) {
      hole = {at, end};
    }
    at = end;
  }
  return hole;
}

void append(std::vector<std::byte>& out, const_byte_span content) { out.insert(out.end(), content.begin(), content.end()); }

void pad(std::vector<std::byte>& out, std::size_t start) { out.resize(start + padded(out.size() - start)); }

byte_span grow(std::vector<std::byte>& out, std::size_t bytes) {
  out.resize(out.size() + bytes);
  return byte_span(out).last(bytes);
}

void put_touched(std::vector<std::byte>& out, std::span<const touched_database> databases) {
  for (const touched_database& touched : databases) {
    const byte_span to = grow(out, layout::touched_bytes);
    store<std::uint8_t>(to, 0, touched.id);
    store<std::uint64_t>(to, 8, touched.dbtime);
  }
}

}  // namespace

std::size_t record_builder::begin(record_type type, std::uint8_t flags, std::uint64_t time) {
  require_encodable((flags & ~unsigned{layout::known_flags}) == 0, "a record with an unknown flag");
  start_ = out_.size();
  changes_ = 0;
  databases_.clear();
  const byte_span header = grow(out_, record_header_bytes);
  store<std::uint8_t>(header, layout::type_at, static_cast<std::uint8_t>(type));
  store<std::uint8_t>(header, layout::flags_at, flags);
  store<std::uint64_t>(header, layout::time_at, time);
  return start_;
}

void record_builder::begin_commit(std::uint8_t flags, std::uint64_t time, std::span<const touched_database> databases) {
  require_encodable(layout::are_touched(databases), "a transaction on more databases than there can be, or on one twice");
  begin(record_type::commit, flags, time);
  databases_.assign(databases.begin(), databases.end());
  const byte_span head = grow(out_, layout::commit_head_bytes - record_header_bytes);
  store<std::uint16_t>(head, 0, static_cast<std::uint16_t>(databases_.size()));
  put_touched(out_, databases_);
}

std::size_t record_builder::change(std::uint8_t id, change_kind kind, std::uint16_t count, page_no number, std::uint64_t before) {
  const auto touched = std::find_if(databases_.begin(), databases_.end(), [id](const touched_database& d) { return d.id == id; });
  require_encodable(touched != databases_.end(), "a change of a database that the transaction does not name");
  require_encodable(layout::is_page_no(number), "a change of a page number out of bounds");
  require_encodable(before < touched->dbtime, "a change that does not raise the page's dbtime");
  const std::size_t start = out_.size();
  const byte_span head = grow(out_, layout::change_bytes);
  store<std::uint8_t>(head, 0, static_cast<std::uint8_t>(touched - databases_.begin()));
  store<std::uint8_t>(head, 1, static_cast<std::uint8_t>(kind));
  store<std::uint16_t>(head, 2, count);
  store<std::uint32_t>(head, 4, number);
  store<std::uint64_t>(head, 8, before);
  ++changes_;
  return start;
}

void record_builder::image(std::uint8_t id, page_no number, std::uint64_t before, const_byte_span page) {
  const auto kind = static_cast<std::uint16_t>(get_page_header(page).kind);
  require_encodable(is_page_size(page.size()) && layout::is_logged_kind(kind), "an image of no page");
  const std::size_t start = change(id, change_kind::image, 0, number, before);
  const byte_run hole = find_hole(page);
  const byte_span head = grow(out_, layout::image_bytes);
  store<std::uint16_t>(head, 0, kind);
  store<std::uint16_t>(head, 2, static_cast<std::uint16_t>(hole.begin));
  store<std::uint16_t>(head, 4, static_cast<std::uint16_t>(hole.end - hole.begin));
  append(out_, page.subspan(page_header_bytes, hole.begin - page_header_bytes));
  append(out_, page.subspan(hole.end));
  pad(out_, start);
}

void record_builder::difference(std::uint8_t id, page_no number, std::uint64_t before, const_byte_span old_page, const_byte_span page) {
  require_encodable(is_page_size(page.size()) && old_page.size() == page.size(), "a difference of no pages");
  const std::size_t most = page.size() / 4 * 3;
  std::vector<byte_run> runs;
  if (get_page_header(old_page).kind != get_page_header(page).kind || find_runs(old_page, page, most, runs) > most) {
    image(id, number, before, page);
    return;
  }
  const std::size_t start = change(id, change_kind::delta, static_cast<std::uint16_t>(runs.size()), number, before);
  for (const byte_run& run : runs) {
    const byte_span head = grow(out_, layout::piece_bytes);
    store<std::uint16_t>(head, 0, static_cast<std::uint16_t>(run.begin));
    store<std::uint16_t>(head, 2, static_cast<std::uint16_t>(run.end - run.begin));
    append(out_, page.subspan(run.begin, run.end - run.begin));
  }
  pad(out_, start);
}

void record_builder::format(std::uint8_t id, page_no number, std::uint64_t before, page_kind kind) {
  require_encodable(layout::is_logged_kind(static_cast<std::uint16_t>(kind)), "a format of no page");
  const std::size_t start = change(id, change_kind::format, 0, number, before);
  store<std::uint16_t>(grow(out_, layout::format_bytes), 0, static_cast<std::uint16_t>(kind));
  pad(out_, start);
}

void record_builder::free(std::uint8_t id, page_no number, std::uint64_t before) { change(id, change_kind::free, 0, number, before); }

void record_builder::begin_database(record_type type, std::uint64_t time, const database_record& content) {
  require_encodable(type == record_type::create || type == record_type::attach || type == record_type::detach, "a record of another type");
  require_encodable(layout::is_database_record(content, type), "a record of a database with an id, a size or a path out of bounds");
  begin(type, 0, time);
  const bool detach = type == record_type::detach;
  grow(out_, (detach ? layout::detach_bytes : layout::path_at + content.path.size()) - record_header_bytes);
  const byte_span record = byte_span(out_).subspan(start_);
  store<std::uint8_t>(record, record_header_bytes, content.id);
  put_signature(record, layout::signature_at, content.database);
  if (type == record_type::create) {
    store<std::uint32_t>(record, layout::page_size_at, content.page_size);
    store<std::uint32_t>(record, layout::pages_at, content.pages);
  }
  if (!detach) {
    store<std::uint64_t>(record, layout::dbtime_at, content.dbtime);
    store<std::uint64_t>(record, layout::cleaned_at, content.cleaned.value);
    put_signature(record, layout::last_log_at, content.log);
    store<std::uint16_t>(record, layout::path_length_at, static_cast<std::uint16_t>(content.path.size()));
    put_text(record, layout::path_at, content.path);
  }
}

void record_builder::begin_recovered(std::uint64_t time, const recovered_record& content) {
  require_encodable(layout::are_touched(content.databases), "a recovery of more databases than there can be, or of one twice");
  begin(record_type::recovered, 0, time);
  const byte_span head = grow(out_, layout::recovered_head_bytes - record_header_bytes);
  store<std::uint64_t>(head, 0, content.end.value);
  store<std::uint16_t>(head, 8, static_cast<std::uint16_t>(content.databases.size()));
  put_touched(out_, content.databases);
}

void record_builder::begin_backup(std::uint64_t time, const backup_event& content) {
  require_encodable(layout::is_backup_event(content), "a backup's record with a phase, an id or a generation out of bounds");
  begin(record_type::backup, 0, time);
  grow(out_, layout::backup_bytes - record_header_bytes);
  const byte_span record = byte_span(out_).subspan(start_);
  store<std::uint8_t>(record, record_header_bytes, content.phase);
  store<std::uint8_t>(record, record_header_bytes + 1, content.scope);
  store<std::uint8_t>(record, record_header_bytes + 2, content.type);
  store<std::uint8_t>(record, record_header_bytes + 3, content.id);
  store<std::uint64_t>(record, layout::mark_at, content.mark);
  store<std::uint64_t>(record, layout::backup_time_at, content.time);
  store<std::uint32_t>(record, layout::low_at, content.low);
  store<std::uint32_t>(record, layout::high_at, content.high);
}

void record_builder::begin_plain(record_type type, std::uint64_t time, std::string_view text) {
  const bool empty = type == record_type::shutdown || type == record_type::end_of_generation;
  require_encodable(type == record_type::start || (empty && text.empty()), "a record of another type");
  begin(type, 0, time);
  put_text(grow(out_, text.size()), 0, text);
}

std::size_t record_builder::finish() {
  const std::size_t length = out_.size() - start_;
  require_encodable(length >= record_header_bytes && length <= std::numeric_limits<std::uint32_t>::max(), "a record longer than a log");
  const byte_span record = byte_span(out_).subspan(start_);
  store<std::uint32_t>(record, layout::length_at, static_cast<std::uint32_t>(length));
  if (load<std::uint8_t>(record, layout::type_at) == static_cast<std::uint8_t>(record_type::commit)) {
    store<std::uint32_t>(record, layout::commit_changes_at, changes_);
  }
  pad(out_, start_);
  return padded(length);
}

void seal_record(byte_span record, lgpos at) noexcept {
  const std::size_t length = load<std::uint32_t>(record, layout::length_at);
  assert(length >= record_header_bytes && length <= record.size());
  store<std::uint64_t>(record, 0, checksum(at.value, record.subspan(8, length - 8)));
}

}  // namespace contrail::pagestore
