#include "engines/pagestore/cache/page_cache.hpp"

#include "engines/pagestore/format/page.hpp"

#include <contrail/error.hpp>
#include "async/file_calls.hpp"
#include "async/task_group.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

namespace contrail::pagestore {

namespace {

constexpr unsigned write_tries = 10;
constexpr std::chrono::milliseconds first_pause{10};

}  // namespace

page_cache::page_cache(const limits& bounds, log_stream& log, file_finder files, std::function<void(std::error_code)> lost)
    : bounds_(bounds), log_(log), files_(std::move(files)), lost_(std::move(lost)) {}

void page_cache::refuse() const { fail(errc::instance_unavailable, "use a page"); }

page_cache::frame& page_cache::insert(std::uint64_t key) {
  std::unique_ptr<frame>& slot = frames_[key];
  slot = std::make_unique<frame>();
  slot->key = key;
  slot->place = order_.insert(order_.end(), key);
  return *slot;
}

void page_cache::erase(std::uint64_t key) {
  const auto at = frames_.find(key);
  order_.erase(at->second->place);
  frames_.erase(at);
}

void page_cache::touch(frame& f) { order_.splice(order_.end(), order_, f.place); }

// Clean pages that nobody pinned, least recently used first, until the bound is kept.
void page_cache::evict() {
  auto at = order_.begin();
  while (frames_.size() > bounds_.pages && at != order_.end()) {
    const frame& f = *frames_.at(*at);
    const std::uint64_t key = *at++;
    if (f.content != nullptr && f.first == lgpos{} && f.writing_first == lgpos{} && f.pins == 0 && !f.loading) erase(key);
  }
}

page_view page_cache::peek(std::uint8_t id, page_no n) const {
  page_view out;
  const auto at = frames_.find(key_of(id, n));
  if (at == frames_.end() || at->second->content == nullptr) return out;
  out.content = at->second->content;
  out.dbtime = at->second->dbtime;
  out.changed = at->second->last;
  return out;
}

bool page_cache::waits(std::uint8_t id, page_no n) const noexcept {
  const auto at = frames_.find(key_of(id, n));
  return at != frames_.end() && (at->second->first != lgpos{} || at->second->writing_first != lgpos{});
}

asio::awaitable<void> page_cache::pin(std::uint8_t id, page_no n) {
  const page_view there = co_await get(id, n);
  static_cast<void>(there);
  const auto at = frames_.find(key_of(id, n));   // what was just asked for is not thrown out by that
  if (at == frames_.end()) fail(errc::database_not_found, "read page");
  ++at->second->pins;
}

void page_cache::unpin(std::uint8_t id, page_no n) noexcept {
  const auto at = frames_.find(key_of(id, n));
  if (at != frames_.end() && at->second->pins != 0) --at->second->pins;
}

asio::awaitable<void> page_cache::read(std::uint64_t key) {
  database_file* const file = files_(id_of(key));
  if (file == nullptr) fail(errc::database_not_found, "read page");
  auto buffer = std::make_shared<page_buffer>(bounds_.page_size);
  std::exception_ptr failure;
  try {
    co_await file->read_checked(number_of(key), asio::buffer(buffer->all().data(), buffer->all().size()));
  } catch (...) {
    failure = std::current_exception();
  }
  const auto at = frames_.find(key);
  if (at == frames_.end()) fail(errc::database_not_found, "read page");
  frame& f = *at->second;
  if (f.content != nullptr) co_return;   // a commit was faster; its write may have torn what was read
  if (failure) std::rethrow_exception(failure);
  ++pages_read;
  const page_header header = get_page_header(buffer->all());
  const auto expected = unsynced_.find(key);
  if (expected != unsynced_.end() && expected->second.dbtime != header.dbtime) {
    // The system may have dropped the write before any sync could tell.
    lost_(make_error_code(errc::lost_flush));
    fail(errc::lost_flush, "read page", file->name(), page_offset(number_of(key), bounds_.page_size),
         "dbtime " + std::to_string(expected->second.dbtime) + ", as it was written", "dbtime " + std::to_string(header.dbtime));
  }
  f.dbtime = header.dbtime;
  f.content = std::move(buffer);
}

asio::awaitable<page_view> page_cache::get(std::uint8_t id, page_no n) {
  const std::uint64_t key = key_of(id, n);
  while (true) {
    if (stopped_) refuse();
    const auto at = frames_.find(key);
    if (at == frames_.end()) break;
    if (at->second->content != nullptr) {
      touch(*at->second);
      co_return peek(id, n);
    }
    co_await changed_.wait(key);
  }
  insert(key).loading = true;
  std::exception_ptr failure;
  try {
    co_await read(key);
  } catch (...) {
    failure = std::current_exception();
  }
  page_view out = peek(id, n);
  if (!failure) evict();   // others: it is still marked as being read
  const auto at = frames_.find(key);
  if (at != frames_.end()) at->second->loading = false;
  if (failure && at != frames_.end() && at->second->content == nullptr) erase(key);
  changed_.notify(key);
  if (failure) std::rethrow_exception(failure);
  co_return out;
}

void page_cache::install(std::uint8_t id, page_no n, page_content content, std::uint64_t dbtime, lgpos changed) {
  const std::uint64_t key = key_of(id, n);
  const auto at = frames_.find(key);
  frame& f = at == frames_.end() ? insert(key) : *at->second;
  if (f.content != nullptr && dbtime <= f.dbtime) {
    assert(false);
    ++invariants_broken;
  }
  const bool waited_for = f.content == nullptr;
  touch(f);
  f.content = std::move(content);
  f.dbtime = dbtime;
  if (f.first == lgpos{}) f.first = changed;
  f.last = changed;
  if (waited_for) changed_.notify(key);
}

// One page. Its mark goes away before it is written, so that a commit in between sets it anew; a write that fails brings the older one back.
asio::awaitable<void> page_cache::write(std::uint64_t key) {
  auto at = frames_.find(key);
  while (at != frames_.end() && at->second->writing_first != lgpos{}) {
    co_await changed_.wait(key);
    if (stopped_) refuse();
    at = frames_.find(key);
  }
  if (at == frames_.end() || at->second->first == lgpos{}) co_return;
  const lgpos newest = at->second->last;
  co_await log_.make_durable(newest);
  at = frames_.find(key);
  if (at == frames_.end() || at->second->first == lgpos{} || at->second->writing_first != lgpos{}) co_return;
  if (stopped_) refuse();
  if (held(key)) {
    co_await released_.wait();
    co_return;   // whoever wants it asks again
  }
  frame& f = *at->second;
  if (f.last >= log_.durable()) co_return;   // changed again meanwhile; whoever wants that one asks again
  page_buffer copy(bounds_.page_size);
  std::memcpy(copy.all().data(), f.content->all().data(), bounds_.page_size);
  seal_page(copy.all(), f.last);
  f.writing_first = std::exchange(f.first, lgpos{});
  const std::uint64_t dbtime = f.dbtime;
  database_file* const file = files_(id_of(key));
  std::exception_ptr failure;
  try {
    if (file == nullptr) fail(errc::database_not_found, "write page");
    co_await file->write(number_of(key), asio::buffer(copy.all().data(), copy.all().size()));
  } catch (...) {
    failure = std::current_exception();
  }
  const lgpos first = std::exchange(f.writing_first, lgpos{});
  if (failure) {
    f.first = first;
  } else {
    ++pages_written;
    written_page& mark = unsynced_[key];
    mark.dbtime = dbtime;
    mark.mark = ++written_;
  }
  changed_.notify(key);
  if (failure) std::rethrow_exception(failure);
}

// From the back, but what nobody holds before what somebody does.
std::uint64_t page_cache::take_key(std::vector<std::uint64_t>& keys) const noexcept {
  if (!holds_.empty() && held(keys.back())) {
    const auto other = std::find_if(keys.rbegin(), keys.rend(), [this](std::uint64_t key) { return !held(key); });
    if (other != keys.rend()) std::swap(*other, keys.back());
  }
  const std::uint64_t key = keys.back();
  keys.pop_back();
  return key;
}

asio::awaitable<void> page_cache::write_some(page_cache& self, std::shared_ptr<work> todo) {
  while (!todo->keys.empty()) {
    const std::uint64_t key = self.take_key(todo->keys);
    unsigned tries = 0;
    while (true) {
      std::exception_ptr failure;
      std::error_code why;
      try {
        co_await self.write(key);
      } catch (const std::system_error& e) {
        failure = std::current_exception();
        why = e.code();
      }
      if (!failure) break;
      if (todo->failed || self.stopped_ || self.log_.failed()) {
        self.failing_ -= tries;
        std::rethrow_exception(failure);
      }
      ++tries;
      ++self.failing_;
      const bool full = calls::is_full(why);
      if (tries >= write_tries) {
        self.failing_ -= tries;
        todo->failed = true;
        const database_file* const file = self.files_(id_of(key));
        const std::string name = file == nullptr ? std::string() : file->name();
        const std::uint64_t at = page_offset(number_of(key), self.bounds_.page_size);
        if (full) fail(errc::disk_full, "write page", name, at, {}, why.message());
        self.lost_(make_error_code(errc::disk_io));
        fail(errc::disk_io, "write page", name, at, {}, why.message() + ", " + std::to_string(tries) + " times");
      }
      const auto ex = co_await asio::this_coro::executor;
      asio::steady_timer pause(ex, first_pause * (1U << std::min(tries, 6U)));
      const auto token = asio::experimental::as_tuple(asio::use_awaitable);
      const auto passed = co_await pause.async_wait(token);
      static_cast<void>(passed);
    }
    self.failing_ -= tries;
  }
}

asio::awaitable<void> page_cache::write_all(std::vector<std::uint64_t> keys) {
  if (keys.empty()) co_return;
  // In the order of the file, which disks prefer; the workers take them from the back.
  std::sort(keys.begin(), keys.end(), std::greater<>());
  const std::size_t workers = std::min<std::size_t>(bounds_.writes_in_flight, keys.size());
  const auto shared = std::make_shared<work>();
  shared->keys = std::move(keys);
  const auto ex = co_await asio::this_coro::executor;
  detail::task_group group(ex);
  for (std::size_t i = 0; i < workers; ++i) group.spawn(write_some(*this, shared));
  co_await group.join();
}

asio::awaitable<void> page_cache::write_older(lgpos before, std::uint8_t id) {
  while (true) {
    if (stopped_) refuse();
    std::vector<std::uint64_t> keys;
    for (const auto& [key, f] : frames_) {
      if (id != 0 && id_of(key) != id) continue;
      const bool waits = f->first != lgpos{} && f->first < before;
      const bool runs = f->writing_first != lgpos{} && f->writing_first < before;
      if (waits || runs) keys.push_back(key);
    }
    if (keys.empty()) co_return;
    co_await write_all(std::move(keys));
  }
}

asio::awaitable<void> page_cache::make_room() {
  while (frames_.size() > bounds_.pages) {
    if (stopped_) refuse();
    evict();
    if (frames_.size() <= bounds_.pages) break;
    if (cleaning_) {
      co_await changed_.wait(0);
      continue;
    }
    // All that is left is dirty: the eighth that was used least is written.
    std::vector<std::uint64_t> keys;
    const std::size_t most = std::max<std::size_t>(bounds_.pages / 8, 16);
    for (const std::uint64_t key : order_) {
      const frame& f = *frames_.at(key);
      if (f.first != lgpos{} && f.pins == 0) keys.push_back(key);
      if (keys.size() == most) break;
    }
    if (keys.empty()) break;   // pinned, or being read: the bound is exceeded by these few
    cleaning_ = true;
    std::exception_ptr failure;
    try {
      co_await write_all(std::move(keys));
    } catch (...) {
      failure = std::current_exception();
    }
    cleaning_ = false;
    changed_.notify(0);
    if (failure) std::rethrow_exception(failure);
  }
}

asio::awaitable<void> page_cache::hold(page_holds::range pages) {
  holds_.add(pages);
  for (std::uint64_t i = 0; i < pages.count; ++i) {
    const std::uint64_t key = key_of(pages.id, pages.first) + i;
    while (true) {
      const auto at = frames_.find(key);
      if (at == frames_.end() || at->second->writing_first == lgpos{}) break;
      co_await changed_.wait(key);
    }
  }
}

void page_cache::release(const page_holds::range& pages) noexcept {
  holds_.remove(pages);
  released_.notify();
}

void page_cache::synced(std::uint8_t id, std::uint64_t mark) {
  std::erase_if(unsynced_, [&](const auto& one) { return id_of(one.first) == id && one.second.mark <= mark; });
}

void page_cache::drop(std::uint8_t id) {
  std::vector<std::uint64_t> keys;
  for (const auto& [key, f] : frames_)
    if (id_of(key) == id) keys.push_back(key);
  for (const std::uint64_t key : keys) erase(key);
  std::erase_if(unsynced_, [&](const auto& one) { return id_of(one.first) == id; });
  changed_.notify();
}

void page_cache::stop() noexcept {
  stopped_ = true;
  changed_.notify();
  released_.notify();
}

bool page_cache::dirty(std::uint8_t id) const noexcept {
  return std::any_of(frames_.begin(), frames_.end(), [&](const auto& one) {
    return id_of(one.first) == id && (one.second->first != lgpos{} || one.second->writing_first != lgpos{});
  });
}

}  // namespace contrail::pagestore
