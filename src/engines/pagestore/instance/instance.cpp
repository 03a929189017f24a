#include "engines/pagestore/instance/core.hpp"

#include "engines/pagestore/backup/backup_engine.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>

#include <utility>

namespace contrail::pagestore {

instance::instance() noexcept = default;
instance::instance(std::shared_ptr<instance_core> core, std::unique_ptr<pagestore::backup_engine> engine) noexcept
    : core_(std::move(core)), engine_(std::move(engine)) {}
instance::instance(instance&&) noexcept = default;

instance& instance::operator=(instance&& other) noexcept {
  if (this != &other) {
    if (core_) core_->abandon();
    core_ = std::move(other.core_);
    engine_ = std::move(other.engine_);
  }
  return *this;
}

instance::~instance() {
  if (core_) core_->abandon();
}

asio::awaitable<instance> instance::open(asio::any_io_executor ex, parameters how, const io::file_system* files) {
  io::file_system fs = files != nullptr ? *files : io::file_system::of(ex);
  std::shared_ptr<instance_core> core = co_await instance_core::open(ex, std::move(how), fs);
  auto engine = std::make_unique<pagestore::backup_engine>(std::move(ex), std::move(fs), core);
  instance out(std::move(core), std::move(engine));
  co_return out;
}

asio::awaitable<database> instance::create(std::filesystem::path path) {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "create database");
  const database out = co_await instance_core::call(core, core->create(std::move(path)));
  co_return out;
}

asio::awaitable<database> instance::attach(std::filesystem::path path) {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "attach database");
  const database out = co_await instance_core::call(core, core->attach(std::move(path)));
  co_return out;
}

asio::awaitable<void> instance::detach(database which) {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "detach database");
  co_await instance_core::call(core, core->detach(which));
}

transaction instance::begin() {
  if (!core_) fail(errc::not_initialized, "begin a transaction");
  if (core_->service_stops()) fail(errc::client_request_to_stop_service, "begin a transaction");
  return transaction(core_, core_->begin());
}

asio::awaitable<lgpos> instance::roll() {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "end a log generation");
  const lgpos out = co_await instance_core::call(core, core->roll());
  co_return out;
}

asio::awaitable<void> instance::checkpoint() {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "make a checkpoint");
  co_await instance_core::call(core, core->checkpoint());
}

asio::awaitable<void> instance::terminate(term_mode how) {
  const auto core = core_;
  if (!core) co_return;
  if (core->ended()) co_return;
  co_await engine_->close();   // a session that was destroyed early may still be leaving
  co_await instance_core::call(core, core->terminate(how));
}

void instance::stop_service() noexcept {
  if (core_) core_->stop_service();
}

engine& instance::backup_engine() {
  if (!engine_) fail(errc::not_initialized, "back up");
  return *engine_;
}

std::size_t instance::payload_bytes() const noexcept { return core_ ? core_->how().page_size - page_header_bytes : 0; }

recovery_report instance::recovered() const { return core_ ? core_->recovered() : recovery_report(); }

asio::awaitable<statistics> instance::counters() {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "count");
  const statistics out = co_await instance_core::call(core, core->counters());
  co_return out;
}

asio::awaitable<std::uint32_t> instance::pages(database which) {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "count pages");
  const std::uint32_t out = co_await instance_core::call(core, core->pages(which));
  co_return out;
}

asio::awaitable<void> instance::make_durable(lgpos at) {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "make a commit durable");
  co_await instance_core::call(core, core->make_durable(at));
}

asio::awaitable<lgpos> instance::log_tip() {
  const auto core = core_;
  if (!core) fail(errc::not_initialized, "find the end of the log");
  const lgpos out = co_await instance_core::call(core, core->log_tip());
  co_return out;
}

}  // namespace contrail::pagestore
