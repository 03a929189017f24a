#pragma once

#include "engines/pagestore/format/log_header.hpp"

/// The checkpoint file: twin blocks of 4096 bytes.
namespace contrail::pagestore {

constexpr std::size_t checkpoint_bytes = 4096;

struct checkpoint_block {
  checkpoint_block() = default;
  std::uint32_t page_size = 0;
  std::uint64_t update = 0;
  signature log;
  lgpos redo;
  std::array<char, 4> base_name{};
  std::vector<attached_database> attached;   ///< with their dbtime at `redo`; and some that were let go of, which are flagged
  friend bool operator==(const checkpoint_block&, const checkpoint_block&) = default;
};

/// Throws errc::invalid_parameter for what `decode_checkpoint` would refuse.
void encode_checkpoint(const checkpoint_block& value, byte_span block);
std::optional<checkpoint_block> decode_checkpoint(const_byte_span block);

}  // namespace contrail::pagestore
