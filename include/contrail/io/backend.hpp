#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::io {

/// Which system interface carries the operations.
/// `simulated` is what a file system on a `simulated_disk` reports; it cannot be asked for.
/// `uring` is Linux's, `iocp` Windows's (I/O completion ports), `threads` works everywhere.
enum class backend_kind : std::uint8_t { automatic, uring, iocp, threads, simulated };
/// "auto", "uring", "iocp", "threads", "simulated".
std::string_view to_string(backend_kind kind) noexcept;
/// False when `text` names no backend that can be asked for; `out` is then unchanged.
bool parse_backend(std::string_view text, backend_kind& out) noexcept;

/// Trivially destructible: pass a named object (GCC 12).
struct backend_options {
  backend_kind kind = backend_kind::automatic;        ///< the environment's CONTRAIL_IO_BACKEND overrides `automatic` only
  unsigned depth = 64;                                ///< operations given to the system at once; 1 to 1024
  std::size_t bytes_per_turn = std::size_t{1} << 20;  ///< bytes that one turn of the event loop may copy from or to the page cache
  unsigned worker_threads = 2;                        ///< `threads` only; 1 to 64
};

/// What was chosen and why, for `contrail info` and reports.
struct backend_info {
  backend_info() = default;
  backend_kind kind = backend_kind::threads;
  std::string why;                  ///< one line
  bool registered_buffers = false;  ///< the system accepted a registered buffer in the probe
  bool direct_descriptors = false;  ///< files can be open outside the process's descriptor table (`open_options::lock_neutral`)
};

/// One backend of this build, as the probe found it.
struct backend_probe {
  backend_probe() = default;
  backend_kind kind = backend_kind::threads;
  bool available = false;
  bool registered_buffers = false;
  bool direct_descriptors = false;
  std::string why;                  ///< what works, or what the system said
};

/// Really tries each backend of this build: set-up, registration, a NOP that comes back. Blocks for well under a millisecond.
std::vector<backend_probe> probe_backends();

}  // namespace contrail::io
