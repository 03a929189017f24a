#include <contrail/io/worker.hpp>

#include "common/backends.hpp"
#include "common/request_queue.hpp"

namespace contrail::io {

worker::worker(asio::any_io_executor ex, unsigned threads) : ex_(std::move(ex)), queue_(detail::make_call_queue(ex_, threads)) {}

}  // namespace contrail::io
