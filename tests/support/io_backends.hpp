#pragma once

#include <contrail/io/backend.hpp>
#include <contrail/io/file_system.hpp>

#include <string>
#include <vector>

/// One configuration under which the I/O suites run.
struct backend_case {
  std::string name;
  contrail::io::backend_options options;
  unsigned loop_threads = 1;
};

inline bool uring_works() {
  for (const auto& probe : contrail::io::probe_backends()) {
    if (probe.kind == contrail::io::backend_kind::uring) return probe.available;
  }
  return false;
}

/// Every backend of this machine, at ordinary and at the least depth, with one and with three threads on the loop.
inline std::vector<backend_case> backend_cases() {
  using contrail::io::backend_kind;
  std::vector<backend_case> cases;
  const auto add = [&cases](backend_kind kind, unsigned depth, unsigned workers, unsigned loops) {
    backend_case c;
    c.options.kind = kind;
    c.options.depth = depth;
    c.options.worker_threads = workers;
    c.loop_threads = loops;
    c.name = std::string(contrail::io::to_string(kind)) + ", depth " + std::to_string(depth) + ", " + std::to_string(workers) +
             " workers, " + std::to_string(loops) + " loop threads";
    cases.push_back(c);
  };
  if (uring_works()) {
    add(backend_kind::uring, 64, 2, 1);
    add(backend_kind::uring, 64, 2, 3);
    add(backend_kind::uring, 1, 2, 2);
  }
  add(backend_kind::threads, 64, 2, 1);
  add(backend_kind::threads, 64, 1, 3);
  return cases;
}
