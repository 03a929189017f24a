#include <contrail/backup_session.hpp>

#include "session/backup_session_access.hpp"
#include "session/session_calls.hpp"

#include <asio/strand.hpp>

#include <type_traits>
#include <utility>

namespace contrail {
namespace {

using detail::call_guard;
using detail::guard_ptr;
using detail::session_core;
using sort = call_guard::sort;

template <typename T>
asio::awaitable<T> no_session(std::string_view operation) {
  fail(errc::no_backup, std::string(operation));
  co_return T();
}
template <>
asio::awaitable<void> no_session<void>(std::string_view operation) {
  fail(errc::no_backup, std::string(operation));
  co_return;
}

/// From the caller to the session's strand and back. Not a coroutine: what is made here is a value.
template <typename T, typename... A>
asio::awaitable<T> call_keeping(std::shared_ptr<void> keep, const std::shared_ptr<session_core>& core, sort s, std::string_view operation,
                                asio::awaitable<T> (*body)(guard_ptr, A...), std::type_identity_t<A>... args) {
  auto strand = core ? core->strand() : std::nullopt;
  if (!strand) return no_session<T>(operation);
  auto control = detail::make_control(*strand);
  control->cancellable = s != sort::outside;
  auto in = std::make_shared<call_guard>(core, control, s);
  in->keep = std::move(keep);
  auto work = detail::run_call<T>(in, operation, body(in, std::move(args)...));
  return detail::on_strand(std::move(control), std::move(work));
}

template <typename T, typename... A>
asio::awaitable<T> call(const std::shared_ptr<session_core>& core, sort s, std::string_view operation,
                        asio::awaitable<T> (*body)(guard_ptr, A...), std::type_identity_t<A>... args) {
  return call_keeping(nullptr, core, s, operation, body, std::move(args)...);
}

asio::awaitable<void> nothing() { co_return; }

}  // namespace

void stop_handle::stop() const noexcept {
  try {
    if (const auto core = core_.lock()) core->stop_with(errc::backup_abort_by_server, "stop was asked for");
  } catch (...) {
    // Out of memory while asking: the flag is set, the next call sees it.
  }
}

backup_session::backup_session() noexcept = default;
backup_session::backup_session(std::shared_ptr<detail::session_core> core) noexcept : core_(std::move(core)) {}
backup_session::backup_session(backup_session&&) noexcept = default;
backup_session& backup_session::operator=(backup_session&& other) noexcept {
  if (this != &other) {
    session_core::orphan(core_);
    core_ = std::move(other.core_);
  }
  return *this;
}
backup_session::~backup_session() { session_core::orphan(core_); }

asio::awaitable<backup_session> backup_session::begin(engine& from, session_options options, std::shared_ptr<const manifest> parent) {
  const auto strand = asio::make_strand(from.get_executor());
  return detail::session_access::begin(from, options, std::move(parent), strand);
}

asio::awaitable<backup_session> detail::session_access::begin(engine& from, session_options options,
                                                              std::shared_ptr<const manifest> parent, strand_type strand) {
  const auto core = session_core::make(from, options, strand);
  core->parent = std::move(parent);
  backup_session handle(core);   // owns the core before the first await: a begin whose frame dies leaves no pin
  auto started = call(core, sort::call, "begin backup", &detail::do_begin, &from);
  co_await std::move(started);
  co_return handle;
}

asio::awaitable<void> detail::session_access::copy(const backup_session& session, database_id id, set_writer& to, io::buffer_pool& pool,
                                                   transfer_options options, std::shared_ptr<void> keep) {
  return call_keeping(std::move(keep), session.core_, sort::call, "copy database", &detail::do_copy, id, &to, &pool, options);
}
asio::awaitable<void> detail::session_access::copy_logs(const backup_session& session, set_writer& to, io::buffer_pool& pool,
                                                        transfer_options options, std::shared_ptr<void> keep) {
  return call_keeping(std::move(keep), session.core_, sort::call, "copy logs", &detail::do_copy_logs, &to, &pool, options);
}

asio::awaitable<std::vector<database_info>> backup_session::databases() {
  return call(core_, sort::call, "list databases", &detail::do_databases);
}
asio::awaitable<mark> backup_session::marked() { return call(core_, sort::call, "ask for the mark", &detail::do_mark); }
asio::awaitable<std::pair<file_handle, std::uint64_t>> backup_session::open(std::string name) {
  return call(core_, sort::call, "open file", &detail::do_open, std::move(name));
}
asio::awaitable<std::size_t> backup_session::read(file_handle file, asio::mutable_buffer into) {
  return call(core_, sort::call, "read file", &detail::do_read, file, into);
}
asio::awaitable<void> backup_session::close(file_handle file) {
  return call(core_, sort::steady, "close file", &detail::do_close, file);
}
asio::awaitable<void> backup_session::copy(database_id id, set_writer& to, io::buffer_pool& pool, transfer_options options) {
  return call(core_, sort::call, "copy database", &detail::do_copy, id, &to, &pool, options);
}
asio::awaitable<bool> backup_session::failed(database_id id) {
  return call(core_, sort::steady, "ask for a database", &detail::do_failed, id);
}
asio::awaitable<log_range> backup_session::prepare_logs() {
  return call(core_, sort::call, "prepare logs", &detail::do_prepare_logs);
}
asio::awaitable<void> backup_session::copy_logs(set_writer& to, io::buffer_pool& pool, transfer_options options) {
  return call(core_, sort::call, "copy logs", &detail::do_copy_logs, &to, &pool, options);
}
asio::awaitable<std::string> backup_session::state() {
  return call(core_, sort::call, "ask for the engine's state", &detail::do_state);
}
asio::awaitable<log_range> backup_session::truncatable_logs() {
  return call(core_, sort::call, "list truncatable logs", &detail::do_truncatable_logs);
}
asio::awaitable<log_range> backup_session::truncate_logs() {
  return call(core_, sort::call, "truncate logs", &detail::do_truncate_logs);
}
asio::awaitable<std::error_code> backup_session::end(ending how) {
  return call(core_, sort::outside, "end backup", &detail::do_end, how);
}
asio::awaitable<void> backup_session::abort() {
  if (!core_ || core_->closed()) return nothing();
  return call(core_, sort::outside, "abort backup", &detail::do_abort);
}

stop_handle backup_session::stopper() const noexcept { return stop_handle(core_); }

}  // namespace contrail
