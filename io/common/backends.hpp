#pragma once

#include "common/driver.hpp"

#include <contrail/io/backend.hpp>

#include <asio/any_io_executor.hpp>

#include <memory>

namespace contrail::io::detail {

class request_queue;

// One pair for each backend of the build; the build chooses which files define them.

backend_probe probe_uring();
/// Throws std::system_error.
std::unique_ptr<driver> make_uring_driver(driver_host& host, const backend_options& options);

backend_probe probe_threads();
std::unique_ptr<driver> make_threads_driver(driver_host& host, unsigned threads);

/// Which backend `options` and the environment ask for, and why. Throws std::system_error, std::invalid_argument.
backend_info choose_backend(const backend_options& options);

/// A queue with the chosen backend, known to the context's anchor. Throws as choose_backend.
std::shared_ptr<request_queue> make_queue(const asio::any_io_executor& ex, const backend_options& options);
/// A queue for blocking calls only.
std::shared_ptr<request_queue> make_call_queue(const asio::any_io_executor& ex, unsigned threads);

}  // namespace contrail::io::detail
