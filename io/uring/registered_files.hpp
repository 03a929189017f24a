#pragma once

#include <contrail/io/open_options.hpp>

#include <array>
#include <mutex>

struct io_uring;

namespace contrail::io::detail {

struct file_state;

/// Files that are open in the ring's table only ("direct descriptors"): they never enter the process's table, so that closing them does
/// not drop the POSIX locks which the process holds on them. Any thread.
class registered_files {
 public:
  explicit registered_files(io_uring& ring) noexcept : ring_(ring) {}

  /// Opens for reading what `path_descriptor` (O_PATH) stands for. False: the table is full, the system does not do it, or the file
  /// system has no direct transfers where neutral was asked for; `file` is then as it was.
  bool open(int path_descriptor, caching wanted, file_state& file) noexcept;
  void close(file_state& file) noexcept;

 private:
  bool make_table() noexcept;
  int take_place() noexcept;
  void give_back(int place) noexcept;
  bool put(int place, int descriptor) noexcept;

  io_uring& ring_;
  std::mutex guard_;
  enum class state { untried, made, refused } table_ = state::untried;
  int owner_ = 0;   // the process that made the table; its children share it and must not touch it
  std::array<bool, 64> taken_{};
};

}  // namespace contrail::io::detail
