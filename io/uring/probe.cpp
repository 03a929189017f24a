#include "common/aligned_memory.hpp"
#include "common/backends.hpp"
#include "posix/apart.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <liburing.h>

namespace contrail::io::detail {

namespace {

std::string refusal(const char* call, int error) {
  std::string text = std::string(call) + ": " + std::strerror(error);
  if (error == ENOSYS) text += " (no io_uring in this kernel)";
  if (error == EPERM || error == EACCES) text += " (refused by kernel.io_uring_disabled or a seccomp filter)";
  return text;
}

struct ring_guard {
  explicit ring_guard(io_uring& r) : ring(r) {}
  ~ring_guard() { io_uring_queue_exit(&ring); }
  ring_guard(const ring_guard&) = delete;
  ring_guard& operator=(const ring_guard&) = delete;
  io_uring& ring;
};

std::string missing_operation(io_uring& ring) {
  const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(io_uring_get_probe_ring(&ring), &io_uring_free_probe);
  if (probe == nullptr) return "its operations cannot be asked for";
  struct need {
    int code;
    const char* name;
  };
  for (const need n : {need{IORING_OP_READ, "READ"}, need{IORING_OP_WRITE, "WRITE"}, need{IORING_OP_READ_FIXED, "READ_FIXED"},
                       need{IORING_OP_WRITE_FIXED, "WRITE_FIXED"}, need{IORING_OP_FSYNC, "FSYNC"},
                       need{IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"}}) {
    if (io_uring_opcode_supported(probe.get(), n.code) == 0) return std::string("no operation ") + n.name;
  }
  return {};
}

/// 0, or an error number. ENOMEM is the memory-lock limit, which does not stop the ring.
int try_registration(io_uring& ring) {
  constexpr std::size_t bytes = 4096;
  std::byte* memory = map_memory(bytes);
  iovec piece{memory, bytes};
  const int result = io_uring_register_buffers(&ring, &piece, 1);
  if (result == 0) io_uring_unregister_buffers(&ring);
  unmap_memory(memory, bytes);
  return -result;
}

/// A filter may allow the set-up and deny the rest: something has to come back.
int try_nop(io_uring& ring) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (entry == nullptr) return EBUSY;
  io_uring_prep_nop(entry);
  int result = io_uring_submit_and_wait(&ring, 1);
  while (result == -EINTR) result = io_uring_submit_and_wait(&ring, 1);
  if (result < 0) return -result;
  io_uring_cqe* done = nullptr;
  result = io_uring_peek_cqe(&ring, &done);
  if (result < 0) return -result;
  const int answer = done->res;
  io_uring_cqe_seen(&ring, done);
  return -answer;
}

/// Asked once: it takes a thread, and each file system probes.
bool threads_stand_apart() {
  static const bool answer = run_apart({}, [] {});
  return answer;
}

}  // namespace

backend_probe probe_uring() {
  backend_probe probe;
  probe.kind = backend_kind::uring;
  io_uring ring{};
  if (const int result = io_uring_queue_init(4, &ring, 0); result < 0) {
    probe.why = refusal("io_uring_setup", -result);
    return probe;
  }
  const ring_guard guard(ring);
  if ((ring.features & IORING_FEAT_NODROP) == 0) {
    probe.why = "kernel too old (completions could be lost)";
    return probe;
  }
  probe.why = missing_operation(ring);
  if (!probe.why.empty()) return probe;
  const int registered = try_registration(ring);
  if (registered != 0 && registered != ENOMEM && registered != EOPNOTSUPP) {
    probe.why = refusal("io_uring_register", registered);
    return probe;
  }
  if (const int answer = try_nop(ring); answer != 0) {
    probe.why = refusal("io_uring_enter", answer);
    return probe;
  }
  probe.available = true;
  probe.registered_buffers = registered == 0;
  // The table is the last thing that is tried on this ring; it goes with it.
  probe.direct_descriptors = io_uring_register_files_sparse(&ring, 2) == 0 && threads_stand_apart();
  probe.why = "ring set up, a NOP came back; ";
  probe.why += registered == 0 ? "buffers can be registered" : "buffers are not registered (memory-lock limit)";
  return probe;
}

}  // namespace contrail::io::detail
