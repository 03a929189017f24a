#pragma once

#include <contrail/io/detail/operation.hpp>

#include <utility>

struct stat;

namespace contrail::io::detail {

/// As far as the system's record of a file goes.
file_facts facts_of(const struct ::stat& from) noexcept;
/// Opens the file of `op` into `op.file`.
void open_file(operation& op);

/// Stands for the file of a lock-neutral open, whose facts it puts into `op.file`; closing it leaves locks alone (O_PATH). Throws
/// std::system_error.
class path_descriptor {
 public:
  explicit path_descriptor(operation& op);
  ~path_descriptor();
  path_descriptor(const path_descriptor&) = delete;
  path_descriptor& operator=(const path_descriptor&) = delete;
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  path_descriptor() = default;
  int fd_ = -1;
};

}  // namespace contrail::io::detail
