#pragma once

#include "engines/pagestore/cache/page_buffer.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace contrail::pagestore {

/// A page that a transaction has changed and nobody else sees.
struct private_page {
  private_page() = default;
  page_content base;                        ///< committed content when it was taken; null for one that was allocated
  std::uint64_t base_dbtime = 0;
  std::shared_ptr<page_buffer> content;     ///< null: freed
  bool allocated = false;                   ///< by this transaction
};

/// What a transaction knows. On the instance's strand, but for the atomics.
struct transaction_state : std::enable_shared_from_this<transaction_state> {
  using key = std::pair<std::uint8_t, page_no>;
  transaction_state() = default;
  std::map<key, private_page> pages;
  std::map<key, std::uint64_t> seen;        ///< dbtime of the pages it has read
  std::map<std::uint8_t, std::uint64_t> databases;   ///< touched; with their dbtime at that moment
  lgpos newest;                             ///< that it has read
  std::atomic<bool> over{false};
  std::atomic<bool> busy{false};            ///< a call is running
};

}  // namespace contrail::pagestore
