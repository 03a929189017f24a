#pragma once

#include "simulated/sector_file.hpp"

#include <contrail/io/entry.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace contrail::io::detail {

struct node;
using node_ptr = std::shared_ptr<node>;

/// A file or a directory. Lives as long as a name, a name that the disk still has, or somebody who opened it.
struct node {
  node(std::uint64_t n, bool d) : number(n), directory(d), mode(d ? 0700U : 0600U) {}
  const std::uint64_t number;
  const bool directory;
  std::uint32_t mode;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool locked = false;
  sector_file content;
  std::map<std::string, node_ptr> names;     ///< of a directory, as they are seen
  std::map<std::string, node_ptr> durable;   ///< as they are on the disk
  std::weak_ptr<node> parent;                ///< of a directory
};

/// The names of a disk, and which of their changes a crash may still undo. Throws std::system_error.
class disk_tree {
 public:
  disk_tree();

  /// The node of a path; null when its last part is missing. Fails when the way to it is.
  node_ptr find(const std::filesystem::path& path) const;
  /// As find, but fails with ENOENT.
  node_ptr get(const std::filesystem::path& path) const;
  node_ptr root() const noexcept { return root_; }

  node_ptr create(const std::filesystem::path& path, bool directory);
  void rename(const std::filesystem::path& from, const std::filesystem::path& to, bool replace);
  void remove(const std::filesystem::path& path);
  /// With all that is in it. At most `most` names go.
  void remove_all(const std::filesystem::path& path, std::uint64_t most);
  /// Names below, the node's own not counted.
  static std::uint64_t count(const node& top) noexcept;
  /// Changes so far. A sync is about those that there were when it was asked for.
  std::uint64_t changes() const noexcept { return changes_; }
  /// The first so many changes are durable, as far as they are this directory's.
  void sync(const node_ptr& directory, std::uint64_t first);
  /// Those that were not synced never become durable.
  void lose(const node_ptr& directory, std::uint64_t first);
  /// The name, and those on the way to it, are durable as they are now.
  void settle_way(const std::filesystem::path& path);

  std::uint64_t used_sectors() const noexcept;

  disk_tree after_crash(crash_mode mode, std::uint64_t seed) const;

 private:
  struct place {
    node_ptr directory;
    std::string name;
    node_ptr there;        ///< null: nothing of that name
    bool slash = false;    ///< must be a directory
  };
  struct slot {
    node_ptr directory;
    std::string name;
    node_ptr now;          ///< null: none
  };
  /// One change of names that happens as a whole or not at all.
  struct change {
    std::vector<slot> slots;
    node_ptr home;         ///< the directory whose sync makes it durable
    std::uint64_t number = 0;
    bool lost = false;
  };

  place locate(const std::filesystem::path& path) const;
  void apply(change c);
  void detach(const node_ptr& directory, const std::string& name);
  void remove_below(const node_ptr& directory, std::uint64_t& most);
  /// For each pending change, those that changed the same names before it.
  std::vector<std::vector<std::size_t>> dependencies() const;

  std::uint64_t next_number_ = 2;
  std::uint64_t changes_ = 0;
  node_ptr root_;
  std::vector<change> pending_;
};

}  // namespace contrail::io::detail
