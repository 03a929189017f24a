#include "async/read_ahead.hpp"

#include "async/file_calls.hpp"
#include "async/wakeup.hpp"

#include <asio/buffer.hpp>
#include <asio/error.hpp>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

namespace contrail {

// Shared with the reads in flight, which end on any thread.
struct read_ahead::state {
  struct slot {
    slot() = default;
    piece result;
    std::size_t want = 0;
    bool done = false;
  };

  explicit state(io::random_access_file f) : file(std::move(f)) {}

  io::random_access_file file;
  wakeup moved;
  std::mutex mutex;
  std::deque<slot> slots;   // in the order of their offsets; references stay good while others come and go

  std::size_t waiting() {
    const std::lock_guard guard(mutex);
    return slots.size();
  }
  bool take_front(piece& out) {
    const std::lock_guard guard(mutex);
    if (!slots.front().done) return false;
    out = std::move(slots.front().result);
    slots.pop_front();
    return true;
  }
};

class read_ahead::step {
 public:
  step(std::shared_ptr<state> s, state::slot& target) : state_(std::move(s)), target_(&target) {}

  void go() {
    state& s = *state_;
    state::slot& t = *target_;
    const std::uint64_t at = t.result.offset + t.result.bytes;
    auto* into = static_cast<char*>(t.result.data.buffer().data()) + t.result.bytes;
    const asio::mutable_buffer rest(into, t.want - t.result.bytes);
    s.file.async_read_some_at(at, rest, std::move(*this));
  }

  // Until it is marked as done, the slot belongs to this step.
  void operator()(std::error_code ec, std::size_t n) {
    state::slot& t = *target_;
    t.result.bytes += n;
    const bool ended = ec == asio::error::eof || (!ec && n == 0);
    if (!ec && !ended && t.result.bytes < t.want) {
      go();
      return;
    }
    const std::shared_ptr<state> s = std::move(state_);
    {
      const std::lock_guard guard(s->mutex);
      if (!ended) t.result.ec = ec;
      t.done = true;
    }
    s->moved.notify();
  }

 private:
  std::shared_ptr<state> state_;
  state::slot* target_;
};

read_ahead::read_ahead(io::random_access_file file, std::uint64_t bytes, io::buffer_pool& pool, std::size_t window)
    : state_(std::make_shared<state>(std::move(file))), pool_(&pool), bytes_(bytes), window_(std::max<std::size_t>(window, 1)) {}
read_ahead::~read_ahead() = default;

void read_ahead::start(io::lease data) {
  state::slot* target = nullptr;
  const std::uint64_t left = bytes_ - asked_;
  const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, data.buffer().size()));
  {
    const std::lock_guard guard(state_->mutex);
    target = &state_->slots.emplace_back();
  }
  target->result.offset = asked_;
  target->result.data = std::move(data);
  target->want = want;
  asked_ += want;
  step first(state_, *target);
  first.go();
}

asio::awaitable<read_ahead::piece> read_ahead::next() {
  piece out;
  while (asked_ < bytes_ && state_->waiting() < window_) {
    io::lease data = pool_->try_acquire();
    if (!data) break;
    start(std::move(data));
  }
  if (state_->waiting() == 0) {
    if (asked_ == bytes_) {
      state_->file.close();   // nothing of it is on its way any more, but the last step may still hold the state
      out.end = true;
      co_return out;
    }
    io::lease data = co_await calls::acquire(*pool_);
    start(std::move(data));
  }
  while (!state_->take_front(out)) co_await state_->moved.wait();
  co_return out;
}

}  // namespace contrail
