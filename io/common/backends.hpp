#pragma once

#include "common/driver.hpp"

#include <contrail/io/backend.hpp>

#include <asio/any_io_executor.hpp>

#include <memory>
#include <span>

namespace contrail::io::detail {

class request_queue;

/// One backend as the system's files offer it.
struct offered_backend {
  backend_kind kind;
  backend_probe (*probe)();
  /// Throws std::system_error.
  std::unique_ptr<driver> (*make)(driver_host& host, const backend_options& options);
};

/// Those of this build, the best first; the last one is always available. The build chooses the file that defines it.
std::span<const offered_backend> offered_backends() noexcept;

// One pair for each backend; the build chooses which files define them.

backend_probe probe_uring();
std::unique_ptr<driver> make_uring_driver(driver_host& host, const backend_options& options);

backend_probe probe_iocp();
std::unique_ptr<driver> make_iocp_driver(driver_host& host, const backend_options& options);

backend_probe probe_threads();
std::unique_ptr<driver> make_threads_driver(driver_host& host, const backend_options& options);

/// A queue with the chosen backend, known to the context's anchor. Throws as choose_backend.
std::shared_ptr<request_queue> make_queue(const asio::any_io_executor& ex, const backend_options& options);
/// A queue for blocking calls only.
std::shared_ptr<request_queue> make_call_queue(const asio::any_io_executor& ex, unsigned threads);

}  // namespace contrail::io::detail
