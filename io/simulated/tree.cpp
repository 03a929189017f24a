#include "simulated/tree.hpp"

#include <algorithm>
#include <utility>

namespace contrail::io::detail {

namespace {

[[noreturn]] void fail_with(std::errc why) { throw std::system_error(std::make_error_code(why)); }

bool is_below(const node_ptr& what, const node_ptr& above) {
  for (node_ptr at = what; at != nullptr; at = at->parent.lock()) {
    if (at == above) return true;
  }
  return false;
}

}  // namespace

disk_tree::disk_tree() : root_(std::make_shared<node>(1, true)) {}

disk_tree::place disk_tree::locate(const std::filesystem::path& path) const {
  if (path.empty()) fail_with(std::errc::no_such_file_or_directory);
  place at;
  at.there = root_;
  for (const std::filesystem::path& part : path.relative_path()) {
    const std::string name = part.string();
    // Nothing behind the last slash: a directory, also one that is yet to be made.
    if (at.there == nullptr && !name.empty()) fail_with(std::errc::no_such_file_or_directory);
    if (at.there != nullptr && !at.there->directory) fail_with(std::errc::not_a_directory);
    if (name.empty() || name == ".") {
      at.slash = true;
      continue;
    }
    at.slash = false;
    if (name == "..") {
      const node_ptr above = at.there->parent.lock();
      at.there = above == nullptr ? root_ : above;
      at.directory = nullptr;
      continue;
    }
    if (name.size() > 255) fail_with(std::errc::filename_too_long);
    at.directory = at.there;
    at.name = name;
    const auto found = at.directory->names.find(name);
    at.there = found == at.directory->names.end() ? nullptr : found->second;
  }
  return at;
}

node_ptr disk_tree::find(const std::filesystem::path& path) const { return locate(path).there; }

node_ptr disk_tree::get(const std::filesystem::path& path) const {
  node_ptr found = find(path);
  if (found == nullptr) fail_with(std::errc::no_such_file_or_directory);
  return found;
}

void disk_tree::apply(change c) {
  for (const slot& s : c.slots) {
    if (s.now == nullptr) {
      s.directory->names.erase(s.name);
    } else {
      s.directory->names[s.name] = s.now;
      if (s.now->directory) s.now->parent = s.directory;
    }
  }
  c.number = ++changes_;
  pending_.push_back(std::move(c));
}

node_ptr disk_tree::create(const std::filesystem::path& path, bool directory) {
  const place at = locate(path);
  if (at.there != nullptr || at.directory == nullptr) fail_with(std::errc::file_exists);
  if (at.slash && !directory) fail_with(std::errc::is_a_directory);
  auto made = std::make_shared<node>(next_number_++, directory);
  change c;
  c.home = at.directory;
  c.slots.push_back({at.directory, at.name, made});
  apply(std::move(c));
  return made;
}

void disk_tree::rename(const std::filesystem::path& from, const std::filesystem::path& to, bool replace) {
  const place source = locate(from);
  if (source.there == nullptr) fail_with(std::errc::no_such_file_or_directory);
  const place target = locate(to);
  if (source.directory == nullptr || target.directory == nullptr) fail_with(std::errc::device_or_resource_busy);
  const bool directory = source.there->directory;
  if ((source.slash || target.slash) && !directory) fail_with(std::errc::not_a_directory);
  if (target.there != nullptr) {
    if (!replace) fail_with(std::errc::file_exists);
    if (target.there == source.there) return;
    if (target.there->directory && !directory) fail_with(std::errc::is_a_directory);
    if (!target.there->directory && directory) fail_with(std::errc::not_a_directory);
    if (target.there->directory && !target.there->names.empty()) fail_with(std::errc::directory_not_empty);
  }
  if (directory && is_below(target.directory, source.there)) fail_with(std::errc::invalid_argument);
  change c;
  c.home = target.directory;
  c.slots.push_back({source.directory, source.name, nullptr});
  c.slots.push_back({target.directory, target.name, source.there});
  apply(std::move(c));
}

void disk_tree::detach(const node_ptr& directory, const std::string& name) {
  change c;
  c.home = directory;
  c.slots.push_back({directory, name, nullptr});
  apply(std::move(c));
}

void disk_tree::remove(const std::filesystem::path& path) {
  const place at = locate(path);
  if (at.there == nullptr) fail_with(std::errc::no_such_file_or_directory);
  if (at.slash && !at.there->directory) fail_with(std::errc::not_a_directory);
  if (!at.there->names.empty()) fail_with(std::errc::directory_not_empty);
  if (at.directory == nullptr) fail_with(std::errc::device_or_resource_busy);
  detach(at.directory, at.name);
}

void disk_tree::remove_below(const node_ptr& directory, std::uint64_t& most) {
  while (!directory->names.empty() && most > 0) {
    const std::string name = directory->names.begin()->first;
    const node_ptr there = directory->names.begin()->second;
    remove_below(there, most);
    if (most == 0) return;
    --most;
    detach(directory, name);
  }
}

void disk_tree::remove_all(const std::filesystem::path& path, std::uint64_t most) {
  const place at = locate(path);
  if (at.there == nullptr) return;
  remove_below(at.there, most);
  if (most > 0 && at.directory != nullptr) detach(at.directory, at.name);
}

std::uint64_t disk_tree::count(const node& top) noexcept {
  std::uint64_t n = 0;
  for (const auto& [name, below] : top.names) n += 1 + count(*below);
  return n;
}

std::uint64_t disk_tree::used_sectors() const noexcept {
  std::uint64_t used = 0;
  std::vector<const node*> todo(1, root_.get());
  while (!todo.empty()) {
    const node* at = todo.back();
    todo.pop_back();
    for (const auto& [name, below] : at->names) {
      used += 1 + below->content.sectors();
      if (below->directory) todo.push_back(below.get());
    }
  }
  return used;
}

}  // namespace contrail::io::detail
