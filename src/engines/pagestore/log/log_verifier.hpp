#pragma once

#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/log_sector.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace contrail::pagestore {

/// A closed generation as it passes by: every sector proves itself, and the whole must be what the next generation's header says of it.
class log_verifier {
 public:
  /// `next`: the header of the generation that follows.
  log_verifier(std::uint32_t generation, log_header next) : generation_(generation), next_(std::move(next)) {}

  /// The next bytes of the file: whole sectors, the first time with the whole header. What is wrong; empty: nothing.
  std::optional<std::string> take(const_byte_span chunk);
  /// After the last: what is wrong.
  std::optional<std::string> finish() const;
  /// Bytes that were taken.
  std::uint64_t taken() const noexcept { return std::uint64_t{index_} * sector_bytes; }

 private:
  std::optional<std::string> take_header(const_byte_span block);
  std::optional<std::string> take_sector(const_byte_span sector);

  const std::uint32_t generation_;
  const log_header next_;
  std::optional<log_header> header_;
  std::uint32_t index_ = 0;             ///< of the next sector
  std::uint32_t batch_ = 0;             ///< the last that was whole
  std::uint32_t in_batch_ = 0;          ///< sectors of the one behind it
  std::uint32_t end_ = 0;               ///< byte behind the last whole batch
  std::uint64_t chain_ = 0;
  std::vector<std::byte> checks_;       ///< check fields of the batch that is not whole yet
  bool ended_ = false;
};

}  // namespace contrail::pagestore
