#include "common/file_state.hpp"
#include "windows/errors.hpp"
#include "windows/handle.hpp"
#include "windows/names.hpp"
#include "windows/paths.hpp"

#include <algorithm>
#include <array>

namespace contrail::io::detail {

namespace {

constexpr unsigned usual_alignment = 4096;

/// What unbuffered transfers of the file have to keep to, in bytes.
unsigned sector_bytes(HANDLE file, const std::wstring& path) noexcept {
  FILE_STORAGE_INFO storage{};
  if (::GetFileInformationByHandleEx(file, FileStorageInfo, &storage, sizeof storage) != 0 && storage.LogicalBytesPerSector != 0) {
    FILE_ALIGNMENT_INFO memory{};
    if (::GetFileInformationByHandleEx(file, FileAlignmentInfo, &memory, sizeof memory) == 0) memory.AlignmentRequirement = 0;
    return std::max<unsigned>(storage.LogicalBytesPerSector, memory.AlignmentRequirement + 1);
  }
  // The volume knows less: what its file system believes. Most disks that say 512 work in 4096.
  std::array<wchar_t, 1024> volume{};
  DWORD per_cluster = 0;
  DWORD sector = 0;
  DWORD free_clusters = 0;
  DWORD clusters = 0;
  if (::GetVolumePathNameW(path.c_str(), volume.data(), static_cast<DWORD>(volume.size())) != 0 &&
      ::GetDiskFreeSpaceW(volume.data(), &per_cluster, &sector, &free_clusters, &clusters) != 0) {
    return std::max<unsigned>(usual_alignment, sector);
  }
  return usual_alignment;
}

DWORD access_of(access mode) noexcept {
  switch (mode) {
    case access::read: return GENERIC_READ;
    case access::write: return GENERIC_WRITE;
    case access::read_write: return GENERIC_READ | GENERIC_WRITE;
  }
  return 0;
}

DWORD disposition_of(const open_options& options) noexcept {
  if (!options.create) return OPEN_EXISTING;
  return options.exclusive ? CREATE_NEW : OPEN_ALWAYS;
}

void cut(HANDLE file) {
  FILE_END_OF_FILE_INFO end{};
  check(::SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end));
}

}  // namespace

void open_file(operation& op) {
  const open_options& options = op.names->options;
  file_state& file = *op.file;
  // Closing a file here drops no lock that others of the process hold: each lock belongs to its handle. So every open is lock-neutral.
  if (options.lock_neutral && (options.mode != access::read || options.create || options.truncate)) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument), "lock_neutral is for reading");
  }
  const std::wstring path = system_path(op.names->first);
  const DWORD rights = access_of(options.mode);
  const bool only_new = options.create && options.exclusive;
  if ((options.create || options.truncate) && !only_new) refuse_short_name(path);
  // Directories are let in, to be told from what may not be opened at all. A link that leads nowhere is a name that is taken.
  const DWORD flags = FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS | (only_new ? FILE_FLAG_OPEN_REPARSE_POINT : 0U);
  unique_handle opened(::CreateFileW(path.c_str(), rights, share_all, nullptr, disposition_of(options), flags, nullptr));
  if (!opened) fail_now();
  BY_HANDLE_FILE_INFORMATION facts{};
  if (::GetFileType(opened.get()) != FILE_TYPE_DISK || ::GetFileInformationByHandle(opened.get(), &facts) == 0) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument), "not a regular file");
  }
  if ((facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) throw std::system_error(std::make_error_code(std::errc::is_a_directory));
  file.facts = facts_of(opened.get(), facts);
  if (options.truncate && file.facts.bytes != 0) {
    cut(opened.get());
    file.facts.bytes = 0;
  }

  unique_handle direct;
  if (options.cache != caching::cached) {
    direct = unique_handle(::ReOpenFile(opened.get(), rights, share_all, FILE_FLAG_OVERLAPPED | FILE_FLAG_NO_BUFFERING));
  }
  // Nothing tells what of a file is in the system's cache: neutral is direct.
  const bool neutral = options.cache == caching::neutral && options.mode == access::read;
  if (direct) {
    file.facts.cache = neutral ? caching::neutral : caching::direct;
    file.facts.alignment = sector_bytes(direct.get(), path);
    if (options.mode != access::read) file.native_cached = as_native(opened.release());
    file.native = as_native(direct.release());
    return;
  }
  file.facts.cache = neutral ? caching::neutral : caching::cached;
  file.native = as_native(opened.release());
}

}  // namespace contrail::io::detail
