#include "engines/pagestore/backup/backup_engine.hpp"

#include "engines/pagestore/backup/backup_pin.hpp"

#include <contrail/error.hpp>
#include <contrail/manifest.hpp>

#include <optional>
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

std::optional<backup_base> backup_base_of(const std::shared_ptr<const manifest>& parent) {
  if (!parent) return std::nullopt;
  if (parent->engine != "pagestore") {
    fail(errc::missing_full_backup, "begin backup", {}, {}, "a set of the engine pagestore to build on", "set " + parent->set + " of " + parent->engine);
  }
  const set_state state = set_state::read(parent->engine_state);
  if (state.mark != parent->at.position) {
    fail(errc::set_damaged, "begin backup", parent->set, {}, "the mark " + std::to_string(state.mark), std::to_string(parent->at.position));
  }
  backup_base out;
  out.set = parent->set;
  out.what = parent->what;
  out.at = parent->at;
  out.base_name = state.base_name;
  out.page_size = state.page_size;
  out.log = state.log;
  out.high = state.high;
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
  std::optional<backup_base> base = is_chained(request.what) ? backup_base_of(request.parent) : std::nullopt;
  std::shared_ptr<running_backup> running = co_await instance_core::call(core_, core_->begin_backup(request.what, std::move(base), request.on_lost));
  std::unique_ptr<pin> out = std::make_unique<backup_pin>(core_, fs_, std::move(request), std::move(running));
  co_return out;
}

asio::awaitable<void> backup_engine::close() { co_await join_sessions(); }

}  // namespace contrail::pagestore
