#include "engines/pagestore/backup/backup_engine.hpp"

#include "engines/pagestore/backup/backup_pin.hpp"

#include <contrail/error.hpp>

#include <utility>

namespace contrail::pagestore {

namespace {

engine_traits traits_of(const parameters& how) {
  engine_traits out;
  out.name = "pagestore";
  out.version = "1";
  out.logs = true;
  out.roll = true;
  out.truncate = true;
  out.incremental = true;
  out.records = true;
  out.circular = how.circular_logging;
  out.hold = hold_policy::on_retry;   // a torn page is seen, and its image is in the set
  return out;
}

}  // namespace

backup_engine::backup_engine(asio::any_io_executor ex, io::file_system fs, std::shared_ptr<instance_core> core)
    : ex_(std::move(ex)), fs_(std::move(fs)), core_(std::move(core)), traits_(traits_of(core_->how())) {}

std::error_code backup_engine::status() const noexcept {
  if (core_->service_stops()) return make_error_code(errc::client_request_to_stop_service);
  const errc why = core_->backup_refusal();
  return why == errc{} ? std::error_code() : make_error_code(why);
}

asio::awaitable<std::shared_ptr<void>> backup_engine::claim() {
  const std::shared_ptr<instance_core> core = core_;
  if (!core->claim_backup()) fail(errc::backup_in_progress, "begin backup", core->how().directory.string(), {}, {}, "another one of it runs");
  std::shared_ptr<void> out(core.get(), [core](void*) { core->unclaim_backup(); });
  co_return out;
}

asio::awaitable<std::unique_ptr<pin>> backup_engine::begin(begin_request request) {
  std::shared_ptr<running_backup> running = co_await instance_core::call(core_, core_->begin_backup(request.what, request.on_lost));
  std::unique_ptr<pin> out = std::make_unique<backup_pin>(core_, fs_, std::move(request), std::move(running));
  co_return out;
}

asio::awaitable<void> backup_engine::close() { co_await join_sessions(); }

}  // namespace contrail::pagestore
