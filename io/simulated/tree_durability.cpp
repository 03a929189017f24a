#include "simulated/tree.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace contrail::io::detail {

std::vector<std::vector<std::size_t>> disk_tree::dependencies() const {
  std::vector<std::vector<std::size_t>> needs(pending_.size());
  std::map<std::pair<std::uint64_t, std::string>, std::size_t> latest;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    for (const slot& s : pending_[i].slots) {
      const std::pair<std::uint64_t, std::string> key(s.directory->number, s.name);
      const auto before = latest.find(key);
      if (before != latest.end()) needs[i].push_back(before->second);
      latest[key] = i;
    }
  }
  return needs;
}

void disk_tree::sync(const node_ptr& directory, std::uint64_t first) {
  const auto needs = dependencies();
  std::vector<bool> done(pending_.size(), false);
  // A change stands on those before it, also in other directories: one name is never seen twice, and none is lost.
  for (std::size_t i = pending_.size(); i > 0; --i) {
    const change& c = pending_[i - 1];
    if (c.home == directory && c.number <= first && !c.lost) done[i - 1] = true;
    if (!done[i - 1]) continue;
    for (const std::size_t before : needs[i - 1]) done[before] = true;
  }
  std::vector<change> rest;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (!done[i]) {
      rest.push_back(std::move(pending_[i]));
      continue;
    }
    for (const slot& s : pending_[i].slots) {
      if (s.now == nullptr) {
        s.directory->durable.erase(s.name);
      } else {
        s.directory->durable[s.name] = s.now;
      }
    }
  }
  pending_ = std::move(rest);
}

void disk_tree::lose(const node_ptr& directory, std::uint64_t first) {
  for (change& c : pending_) {
    if (c.home == directory && c.number <= first) c.lost = true;
  }
}

void disk_tree::settle_way(const std::filesystem::path& path) {
  std::filesystem::path way = "/";
  for (const auto& part : path.relative_path()) {
    const node_ptr directory = find(way);
    if (directory != nullptr) sync(directory, changes_);
    way /= part;
  }
}

disk_tree disk_tree::after_crash(crash_mode mode, std::uint64_t seed) const {
  disk_random random(seed);
  // Which changes happened, and what each name then is.
  const auto needs = dependencies();
  std::vector<bool> happened(pending_.size(), false);
  std::map<std::pair<std::uint64_t, std::string>, node_ptr> slots;
  std::map<std::uint64_t, std::vector<std::string>> touched;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const bool chosen = mode == crash_mode::best || (mode == crash_mode::seeded && random.coin());
    happened[i] = chosen && !pending_[i].lost &&
                  std::all_of(needs[i].begin(), needs[i].end(), [&](std::size_t before) { return happened[before]; });
    if (!happened[i]) continue;
    for (const slot& s : pending_[i].slots) {
      slots[{s.directory->number, s.name}] = s.now;
      touched[s.directory->number].push_back(s.name);
    }
  }

  disk_tree out;
  out.next_number_ = next_number_;
  std::map<std::uint64_t, node_ptr> made;
  const std::function<void(const node&, const node_ptr&)> build = [&](const node& old, const node_ptr& fresh) {
    std::map<std::string, node_ptr> names = old.durable;
    const auto changed = touched.find(old.number);
    if (changed != touched.end()) {
      for (const std::string& name : changed->second) {
        const node_ptr& now = slots[{old.number, name}];
        if (now == nullptr) {
          names.erase(name);
        } else {
          names[name] = now;
        }
      }
    }
    for (const auto& [name, below] : names) {
      node_ptr& copy = made[below->number];
      if (copy != nullptr) continue;
      copy = std::make_shared<node>(below->number, below->directory);
      copy->mode = below->mode;
      copy->uid = below->uid;
      copy->gid = below->gid;
      const node_ptr mine = copy;
      fresh->names[name] = mine;
      if (mine->directory) {
        mine->parent = fresh;
        build(*below, mine);
      } else {
        mine->content.replace(below->content.after_crash(mode, random));
      }
    }
    fresh->durable = fresh->names;
  };
  build(*root_, out.root_);
  return out;
}

}  // namespace contrail::io::detail
