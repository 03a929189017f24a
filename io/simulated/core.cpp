#include "simulated/core.hpp"

#include "common/file_state.hpp"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <utility>

namespace contrail::io::detail {

namespace {

constexpr std::size_t most_events = 100'000;

std::uint64_t next_device() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

disk_core::disk_core(const disk_options& options, disk_tree tree)
    : options_(options), device_(next_device()), tree_(std::move(tree)), random_(options.seed) {}

std::uint64_t disk_core::epoch() const {
  const std::scoped_lock lock(mutex_);
  return epoch_;
}

disk_event disk_core::describe(const operation& op) const {
  disk_event event;
  event.what = as_disk_request(op.what);
  if (op.names != nullptr) {
    event.path = op.names->first.generic_string();
    event.second = op.names->second.generic_string();
  } else if (op.file != nullptr) {
    const auto file = open_.find(op.file->native);
    if (file != open_.end()) event.path = file->second.path;
    const bool moves = op.what == request::read || op.what == request::write;
    event.offset = moves ? op.io.offset : op.offset;
    event.bytes = moves ? op.io.bytes : 0;
  }
  return event;
}

const disk_fault* disk_core::met(const disk_event& event) noexcept {
  const disk_fault* found = nullptr;
  for (counted_fault& f : faults_) {
    if (f.fault.what != disk_request::any && f.fault.what != event.what) continue;
    if (event.path.find(f.fault.path) == std::string::npos && event.second.find(f.fault.path) == std::string::npos) continue;
    const std::uint64_t number = f.seen++;
    if (number == f.fault.nth || (f.fault.lasting && number > f.fault.nth)) found = &f.fault;
  }
  return found;
}

std::function<void()> disk_core::count_one(disk_event event) {
  event.number = next_event_++;
  log_.push_back(std::move(event));
  if (log_.size() > most_events) log_.pop_front();
  if (next_event_ < halt_at_ || halted_) return {};
  halted_ = true;
  return std::exchange(on_halt_, nullptr);
}

sync_scope disk_core::scope_of(const operation& op, std::uint64_t epoch) noexcept {
  sync_scope scope;
  const std::scoped_lock lock(mutex_);
  scope.names = tree_.changes();
  if (op.what != request::sync || epoch != epoch_) return scope;
  try {
    scope.content = std::make_shared<const sector_file::moment>(opened(op).file->content.now());
  } catch (...) {
    scope.content = nullptr;   // fails when it is done
  }
  return scope;
}

bool disk_core::perform(operation& op, const sync_scope& scope, std::uint64_t epoch) noexcept {
  op.error.clear();
  op.count = 0;
  std::function<void()> then;
  held_lock dropped;   // ends without the mutex
  try {
    std::unique_lock lock(mutex_);
    if (!halted_ && next_event_ >= halt_at_) {
      halted_ = true;
      then = std::exchange(on_halt_, nullptr);
      lock.unlock();
      if (then) then();
      return false;
    }
    if (halted_) return false;
    disk_event event = describe(op);
    if (epoch != epoch_) {
      op.error = std::make_error_code(std::errc::no_such_device);
    } else if (op.what == request::call) {
      lock.unlock();
      op.invoke(op);
      lock.lock();
    } else {
      try {
        const disk_fault* const fault = met(event);
        if (fault == nullptr || fault->applied) carry_out(op, scope, event);
        if (fault != nullptr) fail(op, scope, *fault);
        if (fault != nullptr && op.names != nullptr) dropped = std::move(op.names->lock);
      } catch (const std::system_error& e) {
        op.error = e.code();
      }
    }
    event.error = op.error;
    event.count = op.count;
    then = count_one(std::move(event));
  } catch (const std::bad_alloc&) {
    op.error = std::make_error_code(std::errc::not_enough_memory);
  } catch (...) {
    op.error = std::make_error_code(std::errc::io_error);
  }
  if (then) then();
  return true;
}

void disk_core::fail(operation& op, const sync_scope& scope, const disk_fault& fault) {
  op.count = 0;
  op.error = fault.error;
  if (!fault.error) return;
  if (fault.applied) {
    if (op.names != nullptr) op.names->entries.clear();
    return;
  }
  if (op.what == request::sync && scope.content != nullptr) opened(op).file->content.lose(*scope.content);
  // Without a descriptor for the directory nothing was asked of the disk.
  if (op.what == request::sync_directory && fault.error != std::errc::too_many_files_open) {
    const node_ptr directory = tree_.find(op.names->first);
    if (directory != nullptr) tree_.lose(directory, scope.names);
  }
  if (op.what == request::remove_all) {
    const node_ptr top = tree_.find(op.names->first);
    if (top != nullptr) tree_.remove_all(op.names->first, random_.below(disk_tree::count(*top) + 1));
  }
}

void disk_core::carry_out(operation& op, const sync_scope& scope, disk_event& event) {
  if (op.names != nullptr) {
    on_names(op, scope, event);
  } else {
    on_file(op, scope);
  }
}

void disk_core::close(std::intptr_t handle) noexcept {
  const std::scoped_lock lock(mutex_);
  open_.erase(handle);
}

std::uint64_t disk_core::now() const {
  const std::scoped_lock lock(mutex_);
  return now_us_;
}

std::uint64_t disk_core::due() {
  const std::scoped_lock lock(mutex_);
  const auto least = static_cast<std::uint64_t>(options_.least_delay.count());
  const auto most = std::max(least, static_cast<std::uint64_t>(options_.most_delay.count()));
  return now_us_ + least + random_.below(most - least + 1);
}

void disk_core::advance(std::uint64_t to) {
  const std::scoped_lock lock(mutex_);
  now_us_ = std::max(now_us_, to);
}

bool disk_core::stops() {
  const std::scoped_lock lock(mutex_);
  const bool by_chance = random_.coin();
  return options_.cancellation == disk_cancellation::seeded ? by_chance : options_.cancellation == disk_cancellation::stops;
}

void disk_core::count_in_flight(int change) {
  const std::scoped_lock lock(mutex_);
  in_flight_ += static_cast<std::size_t>(change);
}

void disk_core::add(disk_fault fault) {
  const std::scoped_lock lock(mutex_);
  counted_fault counted;
  counted.fault = std::move(fault);
  faults_.push_back(std::move(counted));
}

void disk_core::clear_faults() {
  const std::scoped_lock lock(mutex_);
  faults_.clear();
}

void disk_core::set_capacity(std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  options_.capacity = bytes;
}

void disk_core::set_cancellation(disk_cancellation what) {
  const std::scoped_lock lock(mutex_);
  options_.cancellation = what;
}

void disk_core::halt_after(std::uint64_t operations, std::function<void()> then) {
  const std::scoped_lock lock(mutex_);
  halt_at_ = next_event_ + operations;
  on_halt_ = std::move(then);
}

bool disk_core::halted() const {
  const std::scoped_lock lock(mutex_);
  return halted_;
}

void disk_core::crash(crash_mode mode, std::uint64_t seed) {
  const std::scoped_lock lock(mutex_);
  tree_ = tree_.after_crash(mode, seed);
  ++epoch_;
  halted_ = false;
  halt_at_ = ~std::uint64_t{0};
  on_halt_ = nullptr;
  open_.clear();
  held_ = 0;
}

std::shared_ptr<disk_core> disk_core::after_crash(crash_mode mode, std::uint64_t seed) const {
  const std::scoped_lock lock(mutex_);
  return std::make_shared<disk_core>(options_, tree_.after_crash(mode, seed));
}

disk_core::counts disk_core::count() const {
  const std::scoped_lock lock(mutex_);
  counts c;
  c.operations = next_event_;
  c.open_files = open_.size();
  c.held_locks = held_;
  c.in_flight = in_flight_;
  c.used_bytes = tree_.used_sectors() * sector_bytes;
  return c;
}

std::vector<disk_event> disk_core::log() const {
  const std::scoped_lock lock(mutex_);
  return {log_.begin(), log_.end()};
}

}  // namespace contrail::io::detail
