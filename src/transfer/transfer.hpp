#pragma once

#include "transfer/rate_limit.hpp"

#include <contrail/engine.hpp>
#include <contrail/io/buffer_pool.hpp>
#include <contrail/progress.hpp>
#include <contrail/sink.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace contrail::detail {

struct transfer_state;

/// What a transfer is given. `keep` is destroyed after everything else of the transfer: it stands for the session, and so for the pin.
struct transfer_job {
  transfer_job(std::shared_ptr<void> k, pin& p, set_writer& w, io::buffer_pool& b, rate_limiter& r, progress& c)
      : keep(std::move(k)), from(p), to(w), pool(b), pace(r), counters(c) {}
  std::shared_ptr<void> keep;
  pin& from;
  set_writer& to;
  io::buffer_pool& pool;
  rate_limiter& pace;
  progress& counters;
  unsigned lanes = 8;
  std::function<void()> check;   ///< before every chunk; throws when the session must not go on
};

/// How a transfer ended.
struct transfer_result {
  transfer_result() = default;
  std::uint64_t files = 0;       ///< closed in the set
  std::uint64_t bytes = 0;       ///< stored in them
  /// A file could not be read. Everything of this transfer was dropped from the set, which may go on without it.
  std::exception_ptr source_failure;
};

/// Copies all files of `list` into the set, in order, several chunks in flight. Runs on the session's strand. Throws what the sink threw
/// or operation_aborted; the set is then good for nothing but `abort`. Failures of the source come back in the result.
asio::awaitable<transfer_result> run_transfer(transfer_job job, std::unique_ptr<file_list> list);

}  // namespace contrail::detail
