#pragma once

#include <contrail/io/backend.hpp>
#include <contrail/io/detail/operation.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/strand.hpp>

#include <cstddef>
#include <memory>

namespace contrail::io::detail {

using queue_strand = asio::strand<asio::any_io_executor>;

/// What a driver may ask of its queue.
class driver_host {
 public:
  /// Something moved: run a turn soon. Any thread.
  virtual void wake() noexcept = 0;
  virtual const queue_strand& strand() const noexcept = 0;
  /// Keeps the queue, and with it the driver, alive; null when it is going away.
  virtual std::shared_ptr<driver_host> share() noexcept = 0;

 protected:
  ~driver_host() = default;
};

/// What a system must offer: small, single-threaded, knowing nothing of cancellation races or shutdown. Called on the queue's strand,
/// except `close` (any thread) and `drain`, `detach` (when no thread runs the strand any more).
class driver {
 public:
  virtual ~driver() = default;
  /// False: no room now, try again after a completion.
  virtual bool issue(operation& op) noexcept = 0;
  /// Of an issued one; it still completes exactly once.
  virtual void cancel(operation& op) noexcept = 0;
  /// One system call for all that was issued.
  virtual void flush() noexcept = 0;
  /// Everything that has finished, with error and count set.
  virtual void reap(operation_list& finished) noexcept = 0;
  /// Something is in flight: call wake when it moves.
  virtual void arm() noexcept = 0;
  /// Nothing is in flight: let the event loop end.
  virtual void disarm() noexcept = 0;
  /// Does a cached transfer copy its bytes inside issue or flush, on the event loop?
  virtual bool copies_inline() const noexcept = 0;
  /// Does any write, a direct one too, last inside issue when it makes the file longer?
  virtual bool writes_inline() const noexcept { return false; }
  /// Cancels what can be. Afterwards the driver is done with all that it was given: `reap` hands it out. threads and uring block for that
  /// until the system owes nothing. iocp does not wait: a transfer that the system still has belongs to its record, with its memory and
  /// file, until Asio takes that from the port at the end of the context, and is dropped there without coming back here.
  virtual void drain() noexcept = 0;
  /// Drops all that is tied to the context.
  virtual void detach() noexcept = 0;
  /// Gives the file's descriptors back to the system.
  virtual void close(file_state& file) noexcept = 0;
};

}  // namespace contrail::io::detail
