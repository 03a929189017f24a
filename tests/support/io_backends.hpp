#pragma once

#include <contrail/io/backend.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "support/temp_directory.hpp"

#include <asio/any_io_executor.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

/// One configuration under which the I/O suites run.
struct backend_case {
  std::string name;
  contrail::io::backend_options options;
  unsigned loop_threads = 1;
  std::shared_ptr<contrail::io::simulated_disk> disk;   ///< null: the real one
  bool short_transfers = false;

  contrail::io::file_system files(asio::any_io_executor ex) const {
    return disk != nullptr ? disk->mount(std::move(ex)) : contrail::io::file_system(std::move(ex), options);
  }
  void put(const std::filesystem::path& path, const std::string& bytes) const {
    if (disk != nullptr) {
      disk->write_file(path, bytes);
    } else {
      write_file(path, bytes);
    }
  }
  std::string get(const std::filesystem::path& path) const { return disk != nullptr ? disk->read_file(path) : read_file(path); }
  /// A directory, with those above it.
  void provide(const std::filesystem::path& path) const {
    if (disk != nullptr) {
      disk->make_directory(path);
    } else {
      std::filesystem::create_directories(path);
    }
  }
  bool exists(const std::filesystem::path& path) const { return disk != nullptr ? disk->exists(path) : std::filesystem::exists(path); }
  void remove(const std::filesystem::path& path) const {
    if (!exists(path)) return;
    if (disk != nullptr) {
      disk->remove(path);
    } else {
      std::filesystem::remove(path);
    }
  }
};

inline bool backend_works(contrail::io::backend_kind kind) {
  for (const auto& probe : contrail::io::probe_backends()) {
    if (probe.kind == kind) return probe.available;
  }
  return false;
}

inline bool uring_works() {
  return backend_works(contrail::io::backend_kind::uring);
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
  for (const backend_kind own : {backend_kind::uring, backend_kind::iocp}) {
    if (!backend_works(own)) continue;
    add(own, 64, 2, 1);
    add(own, 64, 2, 3);
    add(own, 1, 2, 2);
  }
  add(backend_kind::threads, 64, 2, 1);
  add(backend_kind::threads, 64, 1, 3);
  return cases;
}

/// The same, and simulated disks.
inline std::vector<backend_case> all_backend_cases() {
  std::vector<backend_case> cases = backend_cases();
  const auto add = [&cases](const char* name, unsigned depth, bool short_transfers, unsigned loops) {
    contrail::io::disk_options how;
    how.depth = depth;
    how.short_transfers = short_transfers;
    backend_case c;
    c.name = name;
    c.loop_threads = loops;
    c.short_transfers = short_transfers;
    c.disk = std::make_shared<contrail::io::simulated_disk>(how);
    cases.push_back(c);
  };
  add("simulated", 64, false, 1);
  add("simulated, depth 1, 3 loop threads", 1, false, 3);
  add("simulated, short transfers", 8, true, 1);
  return cases;
}

/// The ordinary case of each backend of this machine.
inline std::vector<backend_case> each_backend() {
  std::vector<backend_case> out;
  for (const backend_case& c : backend_cases()) {
    if (out.empty() || out.back().options.kind != c.options.kind) out.push_back(c);
  }
  return out;
}
