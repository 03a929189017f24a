#pragma once

#include "simulated/random.hpp"
#include "simulated/tree.hpp"

#include <contrail/io/detail/operation.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace contrail::io::detail {

disk_request as_disk_request(request what) noexcept;

/// What a sync is about: what had been done when it was asked for. Empty for everything else.
struct sync_scope {
  std::shared_ptr<const sector_file::moment> content;   ///< of a file
  std::uint64_t names = 0;                              ///< of a directory: so many changes
};

/// The disk itself, shared by its handles, file systems, files and locks. Any thread.
class disk_core : public std::enable_shared_from_this<disk_core> {
 public:
  disk_core(const disk_options& options, disk_tree tree);
  disk_core(const disk_core&) = delete;
  disk_core& operator=(const disk_core&) = delete;

  const disk_options& options() const noexcept { return options_; }
  /// Changes with every crash.
  std::uint64_t epoch() const;
  /// When an operation is asked for.
  sync_scope scope_of(const operation& op, std::uint64_t epoch) noexcept;
  /// Does what the operation asks for, or fails it as a fault says. False: there is no power, so it never ends.
  bool perform(operation& op, const sync_scope& scope, std::uint64_t epoch) noexcept;
  void close(std::intptr_t handle) noexcept;
  void end_lock(const node_ptr& file, std::uint64_t epoch) noexcept;
  void remove_lock(const std::string& path, std::uint64_t epoch) noexcept;

  // The disk's clock, and its chances.
  std::uint64_t now() const;
  std::uint64_t due() ;
  void advance(std::uint64_t to);
  /// Does it stop an operation in flight that is cancelled?
  bool stops();
  void count_in_flight(int change);

  void add(disk_fault fault);
  void clear_faults();
  void set_capacity(std::uint64_t bytes);
  void set_cancellation(disk_cancellation what);
  void halt_after(std::uint64_t operations, std::function<void()> then);
  bool halted() const;
  void crash(crash_mode mode, std::uint64_t seed);
  std::shared_ptr<disk_core> after_crash(crash_mode mode, std::uint64_t seed) const;

  struct counts {
    std::uint64_t operations = 0;
    std::size_t open_files = 0, held_locks = 0, in_flight = 0;
    std::uint64_t used_bytes = 0;
  };
  counts count() const;
  std::vector<disk_event> log() const;
  /// With the tree, past faults and counts.
  template <typename F>
  auto with_tree(F f) {
    const std::scoped_lock lock(mutex_);
    return f(tree_);
  }

 private:
  struct open_file {
    node_ptr file;
    std::string path;
    access mode = access::read;
  };
  struct counted_fault {
    disk_fault fault;
    std::uint64_t seen = 0;
  };

  disk_event describe(const operation& op) const;
  /// The fault that this one meets, if any.
  const disk_fault* met(const disk_event& event) noexcept;
  void fail(operation& op, const sync_scope& scope, const disk_fault& fault);
  void carry_out(operation& op, const sync_scope& scope, disk_event& event);
  void on_file(operation& op, const sync_scope& scope);
  void transfer(operation& op, open_file& file);
  void on_names(operation& op, const sync_scope& scope, disk_event& event);
  void open(operation& op, disk_event& event);
  void take_lock(operation& op, disk_event& event);
  node_ptr create(const std::filesystem::path& path, bool directory);
  std::uint64_t free_sectors() const noexcept;
  open_file& opened(const operation& op);
  std::function<void()> count_one(disk_event event);

  disk_options options_;
  const std::uint64_t device_;
  mutable std::mutex mutex_;
  disk_tree tree_;
  disk_random random_;
  std::uint64_t epoch_ = 0;
  std::uint64_t now_us_ = 0;
  std::uint64_t next_event_ = 0;
  std::deque<disk_event> log_;
  std::vector<counted_fault> faults_;
  bool halted_ = false;
  std::uint64_t halt_at_ = ~std::uint64_t{0};
  std::function<void()> on_halt_;
  std::map<std::intptr_t, open_file> open_;
  std::intptr_t next_handle_ = 1;
  std::size_t held_ = 0;
  std::size_t in_flight_ = 0;
};

}  // namespace contrail::io::detail
