#pragma once

#include <contrail/io/open_options.hpp>

namespace contrail::io::detail {

struct file_state;

/// Descriptors of one file that is only read: through the page cache, and past it where the file system allows. -1: none.
struct reading_pair {
  int cached = -1;
  int direct = -1;
};

/// Opens once more, whatever happened to its name, the file that a descriptor (also O_PATH) stands for. -1: `errno` says why.
int reopen(int descriptor, int flags) noexcept;
/// The same, for reading. Throws std::system_error.
int reopen_for_reading(int descriptor);
/// The same past the page cache; -1 where the file system refuses. Closes nothing.
int try_reopen_direct(int descriptor);
/// What a direct descriptor demands; 0: direct transfers are not possible after all.
unsigned direct_alignment(int descriptor);
/// Puts them, or their places in a ring's table, where transfers look for them.
void take_reading(const reading_pair& pair, file_state& file) noexcept;
/// Fills in what `wanted` becomes with these descriptors: the granted cache mode, the alignment, the residency.
void describe_reading(const reading_pair& pair, caching wanted, file_state& file);

}  // namespace contrail::io::detail
