#pragma once

#include <contrail/io/random_access_file.hpp>
#include <contrail/source.hpp>
#include <contrail/types.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

namespace contrail {

/// The engine's interlock with its own page writer (ESE specification, section 5.2).
class page_gate {
 public:
  virtual ~page_gate() = default;
  /// Waits for running writes of these pages and keeps new ones away. Cancellation: terminal; a cancelled lock holds nothing.
  [[nodiscard]] virtual asio::awaitable<void> lock(page_range pages) = 0;
  /// Never blocks; any thread.
  virtual void unlock(page_range pages) noexcept = 0;
};

/// What a page looks like. `bad_number`: a good page of another place or another database (-1118).
enum class verdict : std::uint8_t { good, unwritten, bad_checksum, bad_number };

/// How the engine's pages are laid out and checked. Called on the session's strand.
class page_format {
 public:
  virtual ~page_format() = default;
  /// Bytes of a page.
  virtual std::uint32_t page_bytes() const noexcept = 0;
  /// `page` counts from 0 at offset 0 of the file; the engine maps it to its own numbers.
  virtual verdict check(std::uint64_t page, asio::const_buffer bytes) const noexcept = 0;
};

/// When a range hold is taken. always: as ESE; on_retry: the first try goes without; never: the pin makes it safe.
enum class hold_policy : std::uint8_t { never, on_retry, always };

/// How often a chunk with a bad page is read (ESE specification, section 5.4), and when the hold is taken. The hold is released
/// during pauses (decision D13). Defaults are ESE's: 17 tries, pause before retry k is k x 100 ms.
struct read_policy {
  unsigned tries = 17;
  std::chrono::milliseconds pause_step{100};
  hold_policy hold = hold_policy::on_retry;
};

/// What page sources count, for the progress and the report. Read from any thread.
struct read_counters {
  std::atomic<std::uint64_t> pages{0};
  std::atomic<std::uint64_t> pages_retried{0};
  std::atomic<std::uint64_t> holds{0};
  std::atomic<std::uint64_t> longest_hold_us{0};
};

/// The building block for engines with pages: hold -> read -> check -> release, with retries. `format`, `gate` (may be null) and
/// `counters` (may be null) must outlive the source. `bytes` bounds the body; a file that is shorter ends where it ends.
/// The file must have been opened for reading. Reads return whole pages only; a tail that is no whole page is
/// `errc::read_verify_failure` unless the file ended exactly there.
std::unique_ptr<source> make_page_source(io::random_access_file file, std::string name, std::uint64_t bytes,
                                         const page_format& format, page_gate* gate, read_policy policy,
                                         read_counters* counters);

}  // namespace contrail
