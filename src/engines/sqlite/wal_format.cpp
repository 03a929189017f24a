#include "wal_format.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace contrail::sqlite {

namespace {

constexpr std::uint32_t wal_magic = 0x377f0682;   // the lowest bit says how checksums read their words
constexpr std::uint32_t wal_version = 3007000;
constexpr std::uint64_t lock_byte_offset = 0x40000000;

std::uint32_t read_little_endian(const unsigned char* from) noexcept {
  return static_cast<std::uint32_t>(from[0]) | static_cast<std::uint32_t>(from[1]) << 8U |
         static_cast<std::uint32_t>(from[2]) << 16U | static_cast<std::uint32_t>(from[3]) << 24U;
}

const unsigned char* bytes_of(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

std::uint32_t read_big_endian(const unsigned char* from) noexcept {
  return static_cast<std::uint32_t>(from[0]) << 24U | static_cast<std::uint32_t>(from[1]) << 16U |
         static_cast<std::uint32_t>(from[2]) << 8U | static_cast<std::uint32_t>(from[3]);
}

bool is_page_size(std::uint32_t bytes) noexcept { return bytes >= 512 && bytes <= 65536 && std::has_single_bit(bytes); }

wal_sums add_to_sums(wal_sums sums, const unsigned char* from, std::size_t bytes, bool big_endian) noexcept {
  std::uint32_t first = sums.first;
  std::uint32_t second = sums.second;
  const auto run = [&](auto word) noexcept {
    for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
      first += word(from + at) + second;
      second += word(from + at + 4) + first;
    }
  };
  if (big_endian) {
    run(read_big_endian);
  } else {
    run(read_little_endian);
  }
  return {first, second};
}

std::optional<wal_header> parse_wal_header(std::string_view bytes) noexcept {
  if (bytes.size() < wal_header_bytes) {
    return {};
  }
  const unsigned char* const at = bytes_of(bytes);
  const std::uint32_t magic = read_big_endian(at);
  if ((magic & ~std::uint32_t{1}) != wal_magic || read_big_endian(at + 4) != wal_version) {
    return {};
  }
  wal_header out;
  out.big_endian = (magic & 1U) != 0;
  out.page_bytes = read_big_endian(at + 8);
  out.salt1 = read_big_endian(at + 16);
  out.salt2 = read_big_endian(at + 20);
  out.sums = add_to_sums({}, at, 24, out.big_endian);
  const wal_sums stored{read_big_endian(at + 24), read_big_endian(at + 28)};
  if (!is_page_size(out.page_bytes) || stored != out.sums) {
    return {};
  }
  return out;
}

std::optional<database_header> parse_database_header(std::string_view bytes) noexcept {
  constexpr std::string_view magic("SQLite format 3\0", 16);
  if (bytes.size() < database_header_bytes || !bytes.starts_with(magic)) {
    return {};
  }
  const unsigned char* const at = bytes_of(bytes);
  database_header out;
  out.page_bytes = static_cast<std::uint32_t>(at[16]) << 8U | at[17];
  if (out.page_bytes == 1) {
    out.page_bytes = 65536;
  }
  if (!is_page_size(out.page_bytes)) {
    return {};
  }
  out.write_version = at[18];
  out.read_version = at[19];
  // The count is kept since 3.7.0; an older version that wrote later leaves "valid for" behind the change counter.
  const bool believed = read_big_endian(at + 24) == read_big_endian(at + 92);
  out.pages = believed ? read_big_endian(at + 28) : 0;
  return out;
}

std::uint64_t wal_walker::frame_offset(std::uint32_t count) const noexcept {
  if (!header_ || count == 0) {
    return 0;
  }
  return wal_header_bytes + std::uint64_t{count} * (wal_frame_header_bytes + header_->page_bytes);
}

std::size_t wal_walker::step(const unsigned char* at, std::size_t left) noexcept {
  if (!header_) {
    const std::size_t take = std::min(left, wal_header_bytes - header_fill_);
    std::memcpy(head_.data() + header_fill_, at, take);
    header_fill_ += take;
    if (header_fill_ == wal_header_bytes) {
      header_ = parse_wal_header(header_bytes());
      if (header_) {
        sums_ = header_->sums;
      } else {
        ended_ = true;
      }
    }
    return take;
  }
  if (frame_fill_ < wal_frame_header_bytes) {
    const std::size_t take = std::min(left, wal_frame_header_bytes - frame_fill_);
    std::memcpy(frame_head_.data() + frame_fill_, at, take);
    frame_fill_ += take;
    if (frame_fill_ == wal_frame_header_bytes) {
      const unsigned char* const head = frame_head_.data();
      last_page_ = read_big_endian(head);
      last_commit_ = read_big_endian(head + 4);
      if (last_page_ == 0 || read_big_endian(head + 8) != header_->salt1 || read_big_endian(head + 12) != header_->salt2) {
        ended_ = true;
      }
      running_ = add_to_sums(sums_, head, 8, header_->big_endian);
      carry_fill_ = 0;
    }
    return take;
  }
  const std::size_t take = std::min(left, wal_frame_header_bytes + header_->page_bytes - frame_fill_);
  std::size_t used = 0;
  if (carry_fill_ != 0) {
    used = std::min(take, carry_.size() - carry_fill_);
    std::memcpy(carry_.data() + carry_fill_, at, used);
    carry_fill_ += used;
    if (carry_fill_ == carry_.size()) {
      running_ = add_to_sums(running_, carry_.data(), carry_.size(), header_->big_endian);
      carry_fill_ = 0;
    }
  }
  const std::size_t whole = (take - used) / 8 * 8;
  running_ = add_to_sums(running_, at + used, whole, header_->big_endian);
  const std::size_t rest = take - used - whole;
  if (rest != 0) {
    std::memcpy(carry_.data(), at + used + whole, rest);
    carry_fill_ = rest;
  }
  frame_fill_ += take;
  if (frame_fill_ == wal_frame_header_bytes + header_->page_bytes) {
    end_frame();
  }
  return take;
}

void wal_walker::end_frame() noexcept {
  const unsigned char* const head = frame_head_.data();
  const wal_sums stored{read_big_endian(head + 16), read_big_endian(head + 20)};
  frame_fill_ = 0;
  if (stored != running_) {
    ended_ = true;
    return;
  }
  sums_ = running_;
  ++frames_;
  frame_done_ = true;
  if (frames_ == watch_) {
    watched_ = sums_;
  }
  if (last_commit_ != 0) {
    committed_ = frames_;
    committed_pages_ = last_commit_;
    committed_sums_ = sums_;
  }
}

void page_coverage::add(std::uint32_t page) {
  if (page <= present_ || page - present_ > limit) {
    return;
  }
  const std::uint64_t bit = page - present_ - 1;
  const std::size_t byte = static_cast<std::size_t>(bit / 8);
  if (byte >= bits_.size()) {
    bits_.resize(byte + 1);
  }
  bits_[byte] = static_cast<char>(static_cast<unsigned char>(bits_[byte]) | (1U << (bit % 8)));
}

std::optional<std::uint64_t> page_coverage::first_missing(std::uint64_t pages, std::uint32_t page_bytes) const noexcept {
  const std::uint64_t lock_page = lock_byte_offset / page_bytes + 1;
  const std::uint64_t last = std::min(pages, present_ + limit);
  for (std::uint64_t page = present_ + 1; page <= last; ++page) {
    const std::uint64_t bit = page - present_ - 1;
    const std::size_t byte = static_cast<std::size_t>(bit / 8);
    const bool there = byte < bits_.size() && (static_cast<unsigned char>(bits_[byte]) >> (bit % 8) & 1U) != 0;
    if (!there && page != lock_page) {
      return page;
    }
  }
  return {};
}

}  // namespace contrail::sqlite
