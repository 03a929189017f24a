#pragma once

#include "common/residency.hpp"

#include <contrail/io/open_options.hpp>

#include <cstdint>
#include <memory>

namespace contrail::io::detail {

class request_queue;

/// An open file, shared by the object and the operations in flight: the last one closes it.
struct file_state {
  explicit file_state(std::shared_ptr<request_queue> q) noexcept : queue(std::move(q)) {}
  ~file_state();
  file_state(const file_state&) = delete;
  file_state& operator=(const file_state&) = delete;

  std::shared_ptr<request_queue> queue;
  std::intptr_t native = -1;          ///< the system's descriptor or handle
  std::intptr_t native_cached = -1;   ///< of the same file through the page cache: the ends of direct writes, neutral reads
  bool registered = false;            ///< these are places in the ring's table; `native_facts` stands for the file elsewhere
  bool kept = false;                  ///< these belong to the process (`kept_descriptors`) and are not closed with the file
  std::intptr_t native_facts = -1;    ///< of a registered file: good for its length only
  bool knows_nowait = true;           ///< the file system can read without waiting; the strand only
  std::unique_ptr<residency> cache;   ///< neutral only; null: nobody can tell
  file_facts facts;
};

}  // namespace contrail::io::detail
