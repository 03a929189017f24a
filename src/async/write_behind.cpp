#include "async/write_behind.hpp"

#include <contrail/error.hpp>
#include "async/wakeup.hpp"

#include <asio/buffer.hpp>

#include <mutex>
#include <system_error>
#include <utility>

namespace contrail {

// Shared with the writes in flight, which end on any thread.
struct write_behind::state {
  state(io::random_access_file f, std::string o, std::string n) : file(std::move(f)), operation(std::move(o)), name(std::move(n)) {}

  void ended(std::error_code ec, std::uint64_t offset) {
    {
      const std::lock_guard guard(mutex);
      --in_flight;
      if (ec && !failure) {
        failure = ec;
        failed_at = offset;
      }
    }
    moved.notify();
  }
  bool idle() {
    const std::lock_guard guard(mutex);
    return in_flight == 0;
  }

  io::random_access_file file;
  const std::string operation;
  const std::string name;
  wakeup moved;
  std::mutex mutex;
  std::size_t in_flight = 0;
  std::error_code failure;
  std::uint64_t failed_at = 0;
};

// One lease on its way to the file, over as many short writes as it takes. (asio::async_write_at would cut it into pieces of 64 KiB.)
class write_behind::step {
 public:
  step(std::shared_ptr<state> s, io::lease data, std::uint64_t offset, std::size_t bytes)
      : state_(std::move(s)), data_(std::move(data)), offset_(offset), bytes_(bytes) {}

  /// Never throws: a write that could not be started has failed.
  void go() noexcept {
    const std::shared_ptr<state> kept = state_;
    const std::uint64_t offset = offset_ + done_;
    try {
      start();
    } catch (...) {
      kept->ended(std::make_error_code(std::errc::not_enough_memory), offset);
    }
  }

  void start() {
    state& s = *state_;
    const std::uint64_t at = offset_ + done_;
    const auto* from = static_cast<const char*>(data_.buffer().data()) + done_;
    const asio::const_buffer rest(from, bytes_ - done_);
    s.file.async_write_some_at(at, rest, std::move(*this));
  }

  void operator()(std::error_code ec, std::size_t n) {
    done_ += n;
    if (!ec && n == 0) ec = std::make_error_code(std::errc::io_error);
    if (!ec && done_ < bytes_) {
      go();
      return;
    }
    const std::shared_ptr<state> s = std::move(state_);
    data_.reset();
    s->ended(ec, offset_ + done_);
  }

 private:
  std::shared_ptr<state> state_;
  io::lease data_;
  std::uint64_t offset_;
  std::size_t bytes_;
  std::size_t done_ = 0;
};

write_behind::write_behind(io::random_access_file file, std::string operation, std::string name)
    : state_(std::make_shared<state>(std::move(file), std::move(operation), std::move(name))) {}
write_behind::~write_behind() = default;

io::random_access_file& write_behind::file() noexcept { return state_->file; }

void write_behind::check() const {
  std::error_code ec;
  std::uint64_t offset = 0;
  {
    const std::lock_guard guard(state_->mutex);
    ec = state_->failure;
    offset = state_->failed_at;
  }
  if (ec) fail(ec, state_->operation, state_->name, offset);
}

void write_behind::write(std::uint64_t offset, io::lease data, std::size_t bytes) {
  check();
  if (bytes == 0) return;
  if (bytes > data.buffer().size()) fail(errc::invalid_parameter, state_->operation, state_->name, offset);
  {
    const std::lock_guard guard(state_->mutex);
    ++state_->in_flight;
  }
  step first(state_, std::move(data), offset, bytes);
  first.go();
}

asio::awaitable<void> write_behind::settle() {
  const std::shared_ptr<state> s = state_;
  while (!s->idle()) co_await s->moved.wait();
}

asio::awaitable<void> write_behind::drain() {
  co_await settle();
  check();
}

}  // namespace contrail
