#pragma once

#include "engines/sqlite/wal_format.hpp"

#include <cstdint>
#include <string>

namespace contrail::test {

/// Writes a log as SQLite would, in either byte order of its checksums.
class wal_builder {
 public:
  wal_builder(std::uint32_t page_bytes, bool big_endian, std::uint32_t salt1 = 7, std::uint32_t salt2 = 0xdeadbeef)
      : page_bytes_(page_bytes), big_endian_(big_endian), salt1_(salt1), salt2_(salt2) {
    put(big_endian ? 0x377f0683U : 0x377f0682U);
    put(3007000);
    put(page_bytes);
    put(1);
    put(salt1);
    put(salt2);
    sums_ = sqlite::add_to_sums({}, at(0), 24, big_endian_);
    put(sums_.first);
    put(sums_.second);
  }
  /// `commit`: pages of the database after it; 0 for a frame within a transaction.
  wal_builder& frame(std::uint32_t page, std::uint32_t commit, char fill = 'x') {
    const std::size_t begin = bytes_.size();
    put(page);
    put(commit);
    put(salt1_);
    put(salt2_);
    sums_ = sqlite::add_to_sums(sums_, at(begin), 8, big_endian_);
    std::string content(page_bytes_, fill);
    content[0] = static_cast<char>(page);
    sums_ = sqlite::add_to_sums(sums_, reinterpret_cast<const unsigned char*>(content.data()), content.size(), big_endian_);
    put(sums_.first);
    put(sums_.second);
    bytes_ += content;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }
  sqlite::wal_sums sums() const { return sums_; }

 private:
  const unsigned char* at(std::size_t offset) const { return reinterpret_cast<const unsigned char*>(bytes_.data()) + offset; }
  void put(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes_ += static_cast<char>(value >> static_cast<unsigned>(shift));
    }
  }
  std::uint32_t page_bytes_;
  bool big_endian_;
  std::uint32_t salt1_, salt2_;
  sqlite::wal_sums sums_;
  std::string bytes_;
};

}  // namespace contrail::test
