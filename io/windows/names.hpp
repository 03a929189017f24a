#pragma once

#include <contrail/io/detail/operation.hpp>

#include <windows.h>

namespace contrail::io::detail {

/// Opens the file of `op` into `op.file`, for overlapped transfers.
void open_file(operation& op);
/// As far as the system's records of a file go.
file_facts facts_of(HANDLE file, const BY_HANDLE_FILE_INFORMATION& from) noexcept;

/// A file's identity of 128 bits (ReFS uses them all) as `device`, which holds the volume's serial number of 32 bits, and `inode`. The lower
/// half is the inode; the upper one, zero on NTFS, is scrambled, which loses nothing, into the device. So two files of a volume never have
/// the same identity; on ReFS the device alone tells no volume.
void take_identity(const FILE_ID_128& id, file_facts& into) noexcept;

}  // namespace contrail::io::detail
