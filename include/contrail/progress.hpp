#pragma once

#include <contrail/page_source.hpp>

#include <atomic>
#include <cstdint>

namespace contrail {

/// Counters of a running operation, each readable from any thread at any time. Bytes.
struct progress {
  std::atomic<std::uint64_t> bytes_total{0};     ///< known so far; grows when logs are listed
  std::atomic<std::uint64_t> bytes_read{0};      ///< read and verified
  std::atomic<std::uint64_t> bytes_accepted{0};  ///< taken by the sink, or written by a restore
  read_counters reads;
};

}  // namespace contrail
