#include <contrail/io/simulated_disk.hpp>

#include "common/anchor.hpp"
#include "common/request_queue.hpp"
#include "simulated/core.hpp"
#include "simulated/driver.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace contrail::io {

namespace {

using detail::disk_tree;
using detail::node_ptr;

constexpr std::array<std::string_view, 20> request_names = {
    "any",    "read",       "write",          "sync",           "allocate",       "resize", "size", "open", "rename",  "rename_new",
    "remove", "remove_all", "make_directory", "sync_directory", "set_attributes", "list",   "stat", "lock", "release", "call"};
static_assert(request_names.size() == static_cast<std::size_t>(disk_request::call) + 1);

/// The directory, with those on the way to it.
node_ptr provide(disk_tree& tree, const std::filesystem::path& path) {
  std::filesystem::path way = "/";
  for (const auto& part : path.relative_path()) {
    way /= part;
    if (tree.find(way) == nullptr) tree.create(way, true);
  }
  return tree.get(path.empty() ? std::filesystem::path("/") : path);
}

template <typename Each>
void visit(const detail::node& top, const std::string& prefix, const Each& each) {
  for (const auto& [name, below] : top.names) {
    each(prefix + name, *below);
    visit(*below, prefix + name + "/", each);
  }
}

}  // namespace

std::string_view to_string(disk_request what) noexcept {
  const auto at = static_cast<std::size_t>(what);
  return at < request_names.size() ? request_names[at] : "?";
}

std::string to_string(const disk_event& event) {
  std::string out = std::to_string(event.number) + " " + std::string(to_string(event.what)) + " " + event.path;
  if (!event.second.empty()) out += " -> " + event.second;
  if (event.offset != 0 || event.bytes != 0) out += " at " + std::to_string(event.offset);
  if (event.bytes != 0) out += ", " + std::to_string(event.count) + " of " + std::to_string(event.bytes) + " bytes";
  if (event.creates) out += ", new";
  if (event.error) out += ": " + event.error.message();
  return out;
}

namespace detail {

disk_request as_disk_request(request what) noexcept {
  switch (what) {
    case request::read: return disk_request::read;
    case request::write: return disk_request::write;
    case request::sync: return disk_request::sync;
    case request::allocate: return disk_request::allocate;
    case request::resize: return disk_request::resize;
    case request::size: return disk_request::size;
    case request::open: return disk_request::open;
    case request::rename: return disk_request::rename;
    case request::rename_new: return disk_request::rename_new;
    case request::remove: return disk_request::remove;
    case request::remove_all: return disk_request::remove_all;
    case request::make_directory: return disk_request::make_directory;
    case request::sync_directory: return disk_request::sync_directory;
    case request::set_attributes: return disk_request::set_attributes;
    case request::list: return disk_request::list;
    case request::stat: return disk_request::stat;
    case request::lock: return disk_request::lock;
    case request::call: return disk_request::call;
  }
  return disk_request::any;
}

}  // namespace detail

simulated_disk::simulated_disk(const disk_options& options) : core_(std::make_shared<detail::disk_core>(options, disk_tree())) {}
simulated_disk::simulated_disk(std::shared_ptr<detail::disk_core> core) : core_(std::move(core)) {}
simulated_disk::simulated_disk(const simulated_disk&) = default;
simulated_disk& simulated_disk::operator=(const simulated_disk&) = default;
simulated_disk::~simulated_disk() = default;

file_system simulated_disk::mount(asio::any_io_executor ex) {
  auto& anchor = detail::anchor::of(ex);
  auto queue = std::make_shared<detail::request_queue>(ex, anchor.pools(), std::size_t{1} << 20);
  backend_info info;
  info.kind = backend_kind::simulated;
  info.why = "a disk in memory, seed " + std::to_string(core_->options().seed);
  queue->attach(std::make_unique<detail::simulated_driver>(*queue, core_), std::move(info));
  anchor.add(queue);
  return file_system(std::move(ex), std::move(queue));
}

void simulated_disk::add(disk_fault fault) { core_->add(std::move(fault)); }
void simulated_disk::clear_faults() { core_->clear_faults(); }
void simulated_disk::set_capacity(std::uint64_t bytes) { core_->set_capacity(bytes); }
void simulated_disk::set_cancellation(disk_cancellation what) { core_->set_cancellation(what); }
void simulated_disk::halt_after(std::uint64_t operations, std::function<void()> then) { core_->halt_after(operations, std::move(then)); }
bool simulated_disk::halted() const { return core_->halted(); }

void simulated_disk::crash(crash_mode mode, std::uint64_t seed) { core_->crash(mode, seed); }
simulated_disk simulated_disk::after_crash(crash_mode mode, std::uint64_t seed) const { return simulated_disk(core_->after_crash(mode, seed)); }

void simulated_disk::write_file(const std::filesystem::path& path, std::string_view bytes) {
  core_->with_tree([&](disk_tree& tree) {
    provide(tree, path.parent_path());
    node_ptr file = tree.find(path);
    if (file == nullptr) file = tree.create(path, false);
    if (file->directory) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
    file->content.replace(std::string(bytes));
    tree.settle_way(path);
  });
}

void simulated_disk::make_directory(const std::filesystem::path& path) {
  core_->with_tree([&](disk_tree& tree) {
    provide(tree, path);
    tree.settle_way(path);
  });
}

void simulated_disk::remove(const std::filesystem::path& path) {
  core_->with_tree([&](disk_tree& tree) {
    tree.get(path);
    tree.remove_all(path, std::numeric_limits<std::uint64_t>::max());
    tree.settle_way(path);
  });
}

std::string simulated_disk::read_file(const std::filesystem::path& path) const {
  return core_->with_tree([&](disk_tree& tree) {
    const node_ptr file = tree.get(path);
    if (file->directory) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
    return file->content.bytes();
  });
}

bool simulated_disk::exists(const std::filesystem::path& path) const {
  return core_->with_tree([&](disk_tree& tree) {
    try {
      return tree.find(path) != nullptr;
    } catch (const std::system_error&) {
      return false;
    }
  });
}

std::vector<std::string> simulated_disk::names(const std::filesystem::path& below) const {
  std::vector<std::string> out;
  if (!exists(below)) return out;
  core_->with_tree([&](disk_tree& tree) {
    visit(*tree.get(below), "", [&out](const std::string& name, const detail::node& n) { out.push_back(n.directory ? name + "/" : name); });
  });
  std::sort(out.begin(), out.end());
  return out;
}

std::map<std::string, std::string> simulated_disk::files(const std::filesystem::path& below) const {
  std::map<std::string, std::string> out;
  if (!exists(below)) return out;
  core_->with_tree([&](disk_tree& tree) {
    visit(*tree.get(below), "", [&out](const std::string& name, const detail::node& n) {
      if (!n.directory) out.emplace(name, n.content.bytes());
    });
  });
  return out;
}

std::uint64_t simulated_disk::operations() const { return core_->count().operations; }
std::vector<disk_event> simulated_disk::log() const { return core_->log(); }
std::size_t simulated_disk::open_files() const { return core_->count().open_files; }
std::size_t simulated_disk::held_locks() const { return core_->count().held_locks; }
std::size_t simulated_disk::in_flight() const { return core_->count().in_flight; }
std::uint64_t simulated_disk::used_bytes() const { return core_->count().used_bytes; }
std::chrono::microseconds simulated_disk::now() const { return std::chrono::microseconds(core_->now()); }

}  // namespace contrail::io
