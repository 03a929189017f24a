#include "simulated/core.hpp"

#include "common/file_state.hpp"
#include "common/lock_state.hpp"
#include "contrail/io/file_names.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace contrail::io::detail {

namespace {

// A slip of the pen must not fill the memory of the machine.
constexpr std::uint64_t largest_file = std::uint64_t{1} << 30;

[[noreturn]] void fail_with(std::errc why) { throw std::system_error(std::make_error_code(why)); }

class simulated_lock final : public lock_state {
 public:
  simulated_lock(std::shared_ptr<disk_core> core, node_ptr file, std::string path, std::uint64_t epoch)
      : core_(std::move(core)), file_(std::move(file)), path_(std::move(path)), epoch_(epoch) {}
  ~simulated_lock() override { core_->end_lock(file_, epoch_); }
  void remove_name() noexcept override { core_->remove_lock(path_, epoch_); }

 private:
  std::shared_ptr<disk_core> core_;
  node_ptr file_;
  std::string path_;
  std::uint64_t epoch_;
};

void describe_node(const node& n, std::uint64_t device, file_facts& facts) {
  facts.bytes = n.content.length();
  facts.device = device;
  facts.inode = n.number;
  facts.mode = n.mode;
  facts.uid = n.uid;
  facts.gid = n.gid;
}

}  // namespace

disk_core::open_file& disk_core::opened(const operation& op) {
  const auto found = open_.find(op.file->native);
  if (found == open_.end()) fail_with(std::errc::bad_file_descriptor);
  return found->second;
}

std::uint64_t disk_core::free_sectors() const noexcept {
  const std::uint64_t all = options_.capacity / sector_bytes;
  if (options_.capacity == std::numeric_limits<std::uint64_t>::max()) return all;
  const std::uint64_t used = tree_.used_sectors();
  return all > used ? all - used : 0;
}

void disk_core::transfer(operation& op, open_file& file) {
  std::uint64_t bytes = op.io.bytes;
  const std::uint64_t unit = op.io.through_cache ? 1 : std::max<std::uint64_t>(op.file->facts.alignment, 1);
  if (options_.short_transfers && bytes > unit && random_.coin()) bytes = unit * (1 + random_.below(bytes / unit));
  if (op.what == request::write && bytes < op.io.bytes) {
    // Systems end a write early between pages: none writes a part of a sector, which a crash could then leave like that.
    const std::uint64_t end = (op.io.offset + bytes) / sector_bytes * sector_bytes;
    bytes = end > op.io.offset ? end - op.io.offset : op.io.bytes;
  }
  sector_file& content = file.file->content;
  if (op.what == request::read) {
    if (file.mode == access::write) fail_with(std::errc::bad_file_descriptor);
    op.count = content.read(op.io.offset, op.io.data, bytes);
    return;
  }
  if (file.mode == access::read) fail_with(std::errc::bad_file_descriptor);
  if (op.io.offset + bytes > largest_file) fail_with(std::errc::file_too_large);
  const std::uint64_t free = free_sectors();
  while (bytes > 0 && content.missing_sectors(op.io.offset, bytes) > free) {
    // The last sector does not fit.
    const std::uint64_t end = (op.io.offset + bytes - 1) / sector_bytes * sector_bytes;
    bytes = end > op.io.offset ? end - op.io.offset : 0;
    bytes -= bytes % unit;
  }
  if (bytes == 0) fail_with(std::errc::no_space_on_device);
  content.write(op.io.offset, op.io.data, bytes);
  op.count = bytes;
}

void disk_core::on_file(operation& op, const sync_scope& scope) {
  open_file& file = opened(op);
  sector_file& content = file.file->content;
  switch (op.what) {
    case request::read:
    case request::write: transfer(op, file); break;
    case request::sync:
      if (scope.content == nullptr) throw std::bad_alloc();
      content.sync(*scope.content);
      break;
    case request::size: op.count = content.length(); break;
    case request::allocate:
      if (op.offset == 0) break;
      if (file.mode == access::read) fail_with(std::errc::bad_file_descriptor);
      if (op.offset > largest_file) fail_with(std::errc::file_too_large);
      if (content.missing_sectors(0, op.offset) > free_sectors()) fail_with(std::errc::no_space_on_device);
      content.reserve(op.offset);
      break;
    case request::resize:
      if (file.mode == access::read) fail_with(std::errc::invalid_argument);
      if (op.offset > largest_file) fail_with(std::errc::file_too_large);
      content.resize(op.offset);
      break;
    default: fail_with(std::errc::invalid_argument);
  }
}

node_ptr disk_core::create(const std::filesystem::path& path, bool directory) {
  if (free_sectors() == 0 && tree_.find(path) == nullptr) fail_with(std::errc::no_space_on_device);
  return tree_.create(path, directory);
}

void disk_core::open(operation& op, disk_event& event) {
  const open_options& options = op.names->options;
  if (options.lock_neutral && (options.mode != access::read || options.create || options.truncate)) {
    fail_with(std::errc::invalid_argument);
  }
  node_ptr file = tree_.find(op.names->first);
  if (file == nullptr) {
    if (!options.create) fail_with(std::errc::no_such_file_or_directory);
    file = create(op.names->first, false);
    event.creates = true;
  } else if (options.create && options.exclusive) {
    fail_with(std::errc::file_exists);
  }
  if (file->directory) fail_with(std::errc::is_a_directory);
  if (options.truncate && file->content.length() != 0) {
    if (options.mode == access::read) fail_with(std::errc::invalid_argument);
    file->content.resize(0);
  }
  file_state& state = *op.file;
  describe_node(*file, device_, state.facts);
  state.facts.cache = options.cache == caching::cached ? caching::cached : caching::direct;
  state.facts.alignment = options.cache == caching::cached ? 1 : static_cast<std::uint32_t>(sector_bytes);
  state.native = next_handle_++;
  open_file opened;
  opened.file = std::move(file);
  opened.path = event.path;
  opened.mode = options.mode;
  open_.emplace(state.native, std::move(opened));
}

void disk_core::take_lock(operation& op, disk_event& event) {
  node_ptr file = tree_.find(op.names->first);
  if (file == nullptr) {
    file = create(op.names->first, false);
    event.creates = true;
  }
  if (file->directory) fail_with(std::errc::is_a_directory);
  if (file->locked) fail_with(std::errc::resource_unavailable_try_again);
  auto state = std::make_unique<simulated_lock>(shared_from_this(), file, event.path, epoch_);
  file->locked = true;
  ++held_;
  op.names->lock = held_lock(std::move(state));
}

void disk_core::end_lock(const node_ptr& file, std::uint64_t epoch) noexcept {
  const std::scoped_lock lock(mutex_);
  if (epoch != epoch_) return;
  file->locked = false;
  --held_;
}

void disk_core::remove_lock(const std::string& path, std::uint64_t epoch) noexcept {
  std::function<void()> then;
  try {
    const std::scoped_lock lock(mutex_);
    if (epoch != epoch_ || halted_) return;
    disk_event event;
    event.what = disk_request::release;
    event.path = path;
    const disk_fault* const fault = met(event);
    try {
      if (fault == nullptr || fault->applied) tree_.remove(to_path(path));
    } catch (const std::system_error& e) {
      event.error = e.code();
    }
    if (fault != nullptr) event.error = fault->error;
    then = count_one(std::move(event));
  } catch (...) {
    // Without memory the name stays, as it may on a real disk.
  }
  if (then) then();
}

void disk_core::on_names(operation& op, const sync_scope& scope, disk_event& event) {
  name_arguments& names = *op.names;
  switch (op.what) {
    case request::open: open(op, event); break;
    case request::rename: tree_.rename(names.first, names.second, true); break;
    case request::rename_new: tree_.rename(names.first, names.second, false); break;
    case request::remove: tree_.remove(names.first); break;
    case request::remove_all:
      try {
        tree_.remove_all(names.first, std::numeric_limits<std::uint64_t>::max());
      } catch (const std::system_error& e) {
        if (e.code() != std::errc::no_such_file_or_directory && e.code() != std::errc::not_a_directory) throw;
      }
      break;
    case request::make_directory: create(names.first, true); break;
    case request::sync_directory: {
      const node_ptr directory = tree_.get(names.first);
      if (!directory->directory) fail_with(std::errc::not_a_directory);
      tree_.sync(directory, scope.names);
      break;
    }
    case request::set_attributes: {
      node& n = *tree_.get(names.first);
      n.mode = names.value.mode & 07777U;
      if (names.value.set_owner) {
        n.uid = names.value.uid;
        n.gid = names.value.gid;
      }
      break;
    }
    case request::list: {
      const node_ptr directory = tree_.get(names.first);
      if (!directory->directory) fail_with(std::errc::not_a_directory);
      for (const auto& [name, below] : directory->names) {
        entry e;
        e.name = name;
        e.type = below->directory ? entry_type::directory : entry_type::file;
        names.entries.push_back(std::move(e));
      }
      break;
    }
    case request::stat: {
      const node& n = *tree_.get(names.first);
      names.found.name = names.first.filename();
      names.found.type = n.directory ? entry_type::directory : entry_type::file;
      describe_node(n, device_, names.found.facts);
      break;
    }
    case request::lock: take_lock(op, event); break;
    default: fail_with(std::errc::invalid_argument);
  }
}

}  // namespace contrail::io::detail
