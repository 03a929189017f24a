#pragma once

#include <contrail/io/detail/operation.hpp>

#include <memory>

namespace contrail::io::detail {

class pool_state;

/// Makes a transfer fit the rules of a direct file: what is not aligned goes through a few aligned buffers, and the ends of writes
/// through the file's cached descriptor.
class bounce_buffers {
 public:
  /// Fills `op.io`. False: needs a buffer and all are in use; try again after a completion.
  bool prepare(operation& op) noexcept;
  /// After the system is done: brings the result back to what was asked for. Releases the buffer.
  static void finish(operation& op) noexcept;
  void clear() noexcept { pool_.reset(); }

 private:
  lease take() noexcept;
  std::shared_ptr<pool_state> pool_;   // made on first use
};

}  // namespace contrail::io::detail
