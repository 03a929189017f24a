#include "engines/pagestore/log/log_reader.hpp"

#include "engines/pagestore/format/log_sector.hpp"
#include "engines/pagestore/whole_transfers.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace contrail::pagestore {

namespace {

constexpr std::uint32_t window_bytes = 1U << 20U;
constexpr std::string_view reading = "read log";

std::uint64_t offset_of(std::uint32_t sector) noexcept { return std::uint64_t{sector} * sector_bytes; }
std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

asio::awaitable<log_reader> log_reader::open(io::file_system fs, std::filesystem::path path) {
  log_reader out;
  out.name_ = io::to_text(path);
  const io::open_options options;
  calls::opened opened = co_await calls::open(fs, path, options);
  if (calls::is_missing(opened.ec)) fail(errc::missing_log_file, std::string(reading), out.name_);
  if (opened.ec) fail(opened.ec, std::string(reading), out.name_);
  out.file_ = std::move(opened.file);
  std::vector<std::byte> block(log_header_bytes);
  const asio::mutable_buffer into = asio::buffer(block);
  const std::size_t there = co_await read_whole(out.file_, 0, into, reading, out.name_);
  std::optional<log_header> header;
  if (there == block.size()) header = decode_log_header(block);
  if (!header) out.damaged(0, "the header of a log", there == block.size() ? "something else" : number(there) + " bytes in all");
  const std::uint64_t bytes = co_await file_bytes(out.file_, reading, out.name_);
  if (bytes != header->file_bytes || bytes % sector_bytes != 0) {
    out.damaged(std::min(bytes, header->file_bytes), number(header->file_bytes) + " bytes, as the header tells", number(bytes) + " bytes");
  }
  out.sectors_ = static_cast<std::uint32_t>(bytes / sector_bytes);
  out.next_sector_ = first_sector;
  out.tail_.header = std::move(*header);
  out.tail_.end = first_sector * static_cast<std::uint32_t>(sector_bytes);
  out.tail_.chain = first_chain(block);
  out.window_.resize(std::min<std::uint64_t>(window_bytes, bytes));
  co_return out;
}

void log_reader::expect_generation(std::uint32_t generation) const {
  if (header().generation == generation) return;
  fail(errc::invalid_log_sequence, std::string(reading), name_, 48, "generation " + number(generation), "generation " + number(header().generation));
}

void log_reader::expect_log(signature log) const {
  if (header().log == log) return;
  fail(errc::existing_log_file_has_bad_signature, std::string(reading), name_, 32,
       "signature " + number(log.random) + " of " + number(log.created) + ", as its neighbours have",
       number(header().log.random) + " of " + number(header().log.created));
}

void log_reader::expect_page_size(std::uint32_t page_size) const {
  if (header().page_size == page_size) return;
  fail(errc::page_size_mismatch, std::string(reading), name_, 20, "pages of " + number(page_size) + " bytes", number(header().page_size));
}

void log_reader::expect_member(signature log, std::uint32_t generation, std::uint32_t page_size) const {
  expect_generation(generation);
  expect_log(log);
  expect_page_size(page_size);
}

void log_reader::expect_after(const log_tail& previous) const {
  const auto differs = [this](std::uint64_t at, const char* what, std::uint64_t wanted, std::uint64_t found) {
    if (wanted != found) fail(errc::invalid_log_sequence, std::string(reading), name_, at, what + number(wanted), number(found));
  };
  differs(48, "generation ", std::uint64_t{previous.header.generation} + 1, header().generation);
  differs(64, "the one before, made at ", previous.header.created, header().previous_created);
  differs(52, "the one before, ending at ", previous.end, header().previous_end);
  if (header().previous_chain != previous.chain) {
    fail(errc::log_sequence_checksum_mismatch, std::string(reading), name_, 72, "the chain value " + number(previous.chain) + " of the generation before",
         number(header().previous_chain));
  }
}

asio::awaitable<void> log_reader::fill(std::uint32_t sector) {
  const std::size_t wanted = std::min<std::size_t>(window_.size(), (std::size_t{sectors_} - sector) * sector_bytes);
  const asio::mutable_buffer into(window_.data(), wanted);
  const std::size_t there = co_await read_whole(file_, offset_of(sector), into, reading, name_);
  if (there != wanted) damaged(offset_of(sector) + there, number(header().file_bytes) + " bytes", "the end of the file");
  window_first_ = sector;
  window_sectors_ = static_cast<std::uint32_t>(wanted / sector_bytes);
}

const_byte_span log_reader::held(std::uint32_t sector) const noexcept {
  if (sector < window_first_ || sector - window_first_ >= window_sectors_) return {};
  return const_byte_span(window_).subspan((std::size_t{sector} - window_first_) * sector_bytes, sector_bytes);
}

asio::awaitable<bool> log_reader::next_batch() {
  payload_.clear();   // whole sectors first
  std::uint32_t count = 1;
  for (std::uint32_t k = 0; k < count; ++k) {
    const std::uint32_t i = next_sector_ + k;
    if (i >= sectors_) co_return false;
    if (held(i).empty()) co_await fill(i);
    const const_byte_span sector = held(i);
    sector_header h;
    const sector_state state = examine_sector(sector, header().generation, i, header().log.random, h);
    if (state != sector_state::current || h.batch != tail_.batch + 1 || h.index_in_batch != k) co_return false;
    if (k == 0) count = h.sectors_in_batch;
    if (h.sectors_in_batch != count) co_return false;
    if (count == 0 || count > sectors_ - next_sector_ || count * sector_bytes % header().write_unit != 0) {
      damaged(offset_of(i), "a batch of whole units of " + number(header().write_unit) + " bytes that ends within the file", number(count) + " sectors");
    }
    payload_.insert(payload_.end(), sector.begin(), sector.end());
  }
  tail_.chain = raise_chain(tail_.chain, payload_);
  batch_sector_ = next_sector_;
  unpack();
  next_sector_ += count;
  ++tail_.batch;
  tail_.end = static_cast<std::uint32_t>(offset_of(next_sector_));
  next_record_ = 0;
  co_return true;
}

void log_reader::unpack() {
  const std::size_t count = payload_.size() / sector_bytes;
  std::size_t used = 0;
  bool last = false;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t bytes = load<std::uint16_t>(payload_, k * sector_bytes + 28);
    if (bytes > sector_payload_bytes || (last && bytes != 0)) {
      damaged(offset_of(batch_sector_) + k * sector_bytes, "a batch whose sectors are full but for the last ones", number(bytes) + " bytes in one");
    }
    std::memmove(payload_.data() + used, payload_.data() + k * sector_bytes + sector_header_bytes, bytes);
    used += bytes;
    last = bytes < sector_payload_bytes;
  }
  payload_.resize(used);
}

lgpos log_reader::place(std::size_t payload) const noexcept {
  const std::uint64_t sector = batch_sector_ + payload / sector_payload_bytes;
  return make_lgpos(header().generation,
                    static_cast<std::uint32_t>(sector * sector_bytes + sector_header_bytes + payload % sector_payload_bytes));
}

asio::awaitable<bool> log_reader::next() {
  bytes_ = {};
  if (ended_) co_return false;
  while (next_record_ == payload_.size()) {
    bool whole = false;
    if (!tail_.closed) whole = co_await next_batch();
    if (whole) continue;
    if (!tail_.closed) co_await examine_rest();
    ended_ = true;
    co_return false;
  }
  const const_byte_span rest = const_byte_span(payload_).subspan(next_record_);
  position_ = place(next_record_);
  const std::optional<record_header> record = read_record(rest, position_);
  if (!record || record->length > rest.size()) damaged(position_.offset(), "a whole record", "something else, in a sector that is sound");
  record_ = *record;
  bytes_ = rest.first(record_.length);
  next_record_ += std::min(padded(record_.length), rest.size());
  if (record_.type == record_type::end_of_generation) {
    if (next_record_ != payload_.size()) damaged(position_.offset(), "nothing behind the end of the generation", "another record");
    tail_.closed = true;
  }
  co_return true;
}

asio::awaitable<void> log_reader::examine_rest() {
  std::uint32_t of_batch = 0;
  for (std::uint32_t i = next_sector_; i < sectors_; ++i) {
    if (held(i).empty()) co_await fill(i);
    sector_header h;
    const sector_state state = examine_sector(held(i), header().generation, i, header().log.random, h);
    if (state == sector_state::zero || state == sector_state::stale) continue;
    if (state == sector_state::damaged) {
      damaged(offset_of(i), "a sector of this log, zeros, or what an earlier use of the file left", "another content");
    }
    if (h.batch != tail_.batch + 1) {
      damaged(offset_of(next_sector_), "batch " + number(tail_.batch + 1) + ", for one that was written later is there",
              "no whole one, and a sector of batch " + number(h.batch) + " at " + number(offset_of(i)));
    }
    if (of_batch == 0) of_batch = h.sectors_in_batch;
    if (h.index_in_batch != i - next_sector_ || h.sectors_in_batch != of_batch || h.index_in_batch >= of_batch ||
        of_batch > sectors_ - next_sector_) {
      damaged(offset_of(i), "the parts of one batch that begins at " + number(offset_of(next_sector_)),
              "sector " + number(h.index_in_batch) + " of " + number(h.sectors_in_batch));
    }
    torn_ = true;
  }
}

void log_reader::damaged(std::uint64_t offset, std::string expected, std::string found) const {
  fail(errc::log_file_corrupt, std::string(reading), name_, offset, std::move(expected), std::move(found));
}

}  // namespace contrail::pagestore
