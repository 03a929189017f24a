#include <contrail/io/file_system.hpp>

#include "common/anchor.hpp"
#include "common/backends.hpp"
#include "common/request_queue.hpp"

namespace contrail::io {

file_system::file_system(asio::any_io_executor ex, const backend_options& options)
    : ex_(std::move(ex)), queue_(detail::make_queue(ex_, options)) {}

file_system::file_system(asio::any_io_executor ex, std::shared_ptr<detail::request_queue> queue)
    : ex_(std::move(ex)), queue_(std::move(queue)) {}

file_system file_system::of(asio::any_io_executor ex) {
  auto& anchor = detail::anchor::of(ex);
  auto queue = anchor.default_queue(ex);
  return file_system(std::move(ex), std::move(queue));
}

const backend_info& file_system::info() const noexcept { return queue_->info(); }

}  // namespace contrail::io
