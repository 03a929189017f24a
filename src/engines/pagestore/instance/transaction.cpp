#include "engines/pagestore/instance/core.hpp"

#include <contrail/error.hpp>

#include <utility>

namespace contrail::pagestore {

namespace {

/// One call at a time: state of a transaction is not for two.
class one_call {
 public:
  explicit one_call(std::shared_ptr<transaction_state> state) : state_(std::move(state)) {
    if (!state_) fail(errc::not_initialized, "use a transaction");
    if (state_->busy.exchange(true)) {
      state_.reset();
      fail(errc::invalid_backup_sequence, "use a transaction", {}, {}, "one call at a time", "a second one");
    }
  }
  one_call(const one_call&) = delete;
  one_call& operator=(const one_call&) = delete;
  ~one_call() {
    if (state_) state_->busy = false;
  }

 private:
  std::shared_ptr<transaction_state> state_;
};

}  // namespace

transaction::transaction() noexcept = default;
transaction::transaction(std::shared_ptr<instance_core> core, std::shared_ptr<transaction_state> state) noexcept
    : core_(std::move(core)), state_(std::move(state)) {}
transaction::transaction(transaction&&) noexcept = default;

transaction& transaction::operator=(transaction&& other) noexcept {
  if (this != &other) {
    rollback();
    core_ = std::move(other.core_);
    state_ = std::move(other.state_);
  }
  return *this;
}

transaction::~transaction() { rollback(); }

void transaction::rollback() noexcept {
  if (!state_ || state_->over) return;
  const auto core = core_;
  const auto state = state_;
  try {
    core->post([core, state] { core->rollback(*state); });
  } catch (...) {
    // Without memory for it: its pages stay taken until the instance ends.
  }
}

asio::awaitable<std::size_t> transaction::read(database in, page_no page, std::size_t offset, asio::mutable_buffer into) {
  const one_call mine(state_);
  const auto core = core_;
  const std::size_t count = co_await instance_core::call(core, core->read(state_, in, page, offset, into));
  co_return count;
}

asio::awaitable<void> transaction::write(database in, page_no page, std::size_t offset, asio::const_buffer from) {
  const one_call mine(state_);
  const auto core = core_;
  co_await instance_core::call(core, core->write(state_, in, page, offset, from));
}

asio::awaitable<page_no> transaction::allocate(database in, page_no hint) {
  const one_call mine(state_);
  const auto core = core_;
  const page_no n = co_await instance_core::call(core, core->allocate(state_, in, hint));
  co_return n;
}

asio::awaitable<void> transaction::free(database in, page_no page) {
  const one_call mine(state_);
  const auto core = core_;
  co_await instance_core::call(core, core->free(state_, in, page));
}

asio::awaitable<commit_info> transaction::commit(durability how) {
  const one_call mine(state_);
  const auto core = core_;
  const commit_info done = co_await instance_core::call(core, core->commit(state_, how));
  co_return done;
}

}  // namespace contrail::pagestore
