#pragma once

#include "common/driver.hpp"
#include "simulated/core.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace contrail::io::detail {

/// One file system's way to a simulated disk. Operations end in the order of the disk's clock, which stands still while anything can be
/// done and jumps to the next completion when nothing can.
class simulated_driver final : public driver {
 public:
  simulated_driver(driver_host& host, std::shared_ptr<disk_core> core);
  ~simulated_driver() override;

  bool issue(operation& op) noexcept override;
  void cancel(operation& op) noexcept override;
  void flush() noexcept override {}
  void reap(operation_list& finished) noexcept override;
  void arm() noexcept override;
  void disarm() noexcept override { idle_turns_ = 0; }
  bool copies_inline() const noexcept override { return false; }
  void drain() noexcept override;
  void detach() noexcept override {}
  void close(file_state& file) noexcept override;

 private:
  struct waiting {
    operation* op = nullptr;
    std::uint64_t due_us = 0;
    sync_scope scope;
    bool aborted = false;
  };
  /// False: it never ends.
  bool finish(const waiting& one, operation_list& finished) noexcept;

  driver_host& host_;
  std::shared_ptr<disk_core> core_;
  const std::uint64_t epoch_;
  std::vector<waiting> waiting_;   // the next one last
  unsigned idle_turns_ = 0;
  bool draining_ = false;
};

}  // namespace contrail::io::detail
