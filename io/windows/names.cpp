#include "windows/names.hpp"

#include "common/file_state.hpp"
#include "common/perform.hpp"
#include "windows/errors.hpp"
#include "windows/handle.hpp"
#include "windows/handle_lock.hpp"
#include "windows/paths.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

namespace contrail::io::detail {

namespace {

bool is_link(DWORD attributes, DWORD tag) noexcept {
  return (attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && (tag == IO_REPARSE_TAG_SYMLINK || tag == IO_REPARSE_TAG_MOUNT_POINT);
}

entry_type type_of(DWORD attributes, DWORD tag) noexcept {
  if (is_link(attributes, tag)) return entry_type::link;
  if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) return entry_type::directory;
  return (attributes & FILE_ATTRIBUTE_DEVICE) != 0 ? entry_type::other : entry_type::file;
}

DWORD attributes_of(const std::wstring& path) {
  const DWORD found = ::GetFileAttributesW(path.c_str());
  if (found == INVALID_FILE_ATTRIBUTES) fail_now();
  return found;
}

void stat_name(name_arguments& names) {
  const unique_handle file =
      open_existing(system_path(names.first), FILE_READ_ATTRIBUTES, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
  if (!file) fail_now();
  BY_HANDLE_FILE_INFORMATION facts{};
  check(::GetFileInformationByHandle(file.get(), &facts));
  FILE_ATTRIBUTE_TAG_INFO tag{};
  if (::GetFileInformationByHandleEx(file.get(), FileAttributeTagInfo, &tag, sizeof tag) == 0) tag.ReparseTag = 0;
  names.found.name = names.first.filename();
  names.found.type = type_of(facts.dwFileAttributes, tag.ReparseTag);
  names.found.facts = facts_of(file.get(), facts);
}

std::wstring below(const std::wstring& directory, const wchar_t* name) { return directory + (directory.ends_with(L'\\') ? L"" : L"\\") + name; }

/// Calls `visit` with each entry of the directory but "." and "..".
template <typename Visit>
void each_entry(const std::wstring& directory, Visit visit) {
  if ((attributes_of(directory) & FILE_ATTRIBUTE_DIRECTORY) == 0) throw std::system_error(std::make_error_code(std::errc::not_a_directory));
  WIN32_FIND_DATAW found{};
  const HANDLE search = ::FindFirstFileExW(below(directory, L"*").c_str(), FindExInfoBasic, &found, FindExSearchNameMatch, nullptr, 0);
  if (search == INVALID_HANDLE_VALUE) {
    if (::GetLastError() == ERROR_FILE_NOT_FOUND) return;   // the root of a volume has no "."
    fail_now();
  }
  const std::unique_ptr<void, BOOL(WINAPI*)(HANDLE)> closer(search, &::FindClose);
  do {
    const std::wstring_view name(found.cFileName);
    if (name != L"." && name != L"..") visit(found);
  } while (::FindNextFileW(search, &found) != 0);
  if (::GetLastError() != ERROR_NO_MORE_FILES) fail_now();
}

void list_names(name_arguments& names) {
  each_entry(system_path(names.first), [&](const WIN32_FIND_DATAW& found) {
    entry e;
    e.name = found.cFileName;
    e.type = type_of(found.dwFileAttributes, found.dwReserved0);
    names.entries.push_back(std::move(e));
  });
  std::sort(names.entries.begin(), names.entries.end(), [](const entry& a, const entry& b) { return a.name < b.name; });
}

/// The system, or the file system, does not know what was asked.
bool is_unknown_here(DWORD why) noexcept {
  switch (why) {
    case ERROR_INVALID_FUNCTION:
    case ERROR_INVALID_HANDLE:
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_LEVEL:
    case ERROR_CALL_NOT_IMPLEMENTED:
    case ERROR_NOT_SUPPORTED: return true;
    default: return false;
  }
}

bool set_attributes(HANDLE file, DWORD attributes) noexcept {
  FILE_BASIC_INFO facts{};   // no time: none is changed
  facts.FileAttributes = attributes != 0 ? attributes : FILE_ATTRIBUTE_NORMAL;
  return ::SetFileInformationByHandle(file, FileBasicInfo, &facts, sizeof facts) != 0;
}

/// FileDispositionInfoEx, which the headers have only for programs that need Windows 10 1607.
constexpr auto disposition_with_flags = static_cast<FILE_INFO_BY_HANDLE_CLASS>(21);

/// The attribute belongs to the file, so to all its names: those that stay keep it.
void remove_read_only(const std::wstring& path, DWORD attributes) {
  const unique_handle file = open_existing(path, DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
                                           FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
  if (!file) fail_now();
  FILE_DISPOSITION_INFO_EX anyway{};
  anyway.Flags =
      FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE;
  if (::SetFileInformationByHandle(file.get(), disposition_with_flags, &anyway, sizeof anyway) != 0) return;
  // Before Windows 10 1809, where the flag is unknown or not heeded (denied), and on other file systems than NTFS.
  if (!is_unknown_here(::GetLastError()) && ::GetLastError() != ERROR_ACCESS_DENIED) fail_now();
  BY_HANDLE_FILE_INFORMATION facts{};
  check(::GetFileInformationByHandle(file.get(), &facts));
  if (!set_attributes(file.get(), attributes & ~static_cast<DWORD>(FILE_ATTRIBUTE_READONLY))) fail_now();
  FILE_DISPOSITION_INFO gone{};
  gone.DeleteFile = TRUE;
  const bool removed = ::SetFileInformationByHandle(file.get(), FileDispositionInfo, &gone, sizeof gone) != 0;
  const DWORD why = ::GetLastError();
  if (!removed || facts.nNumberOfLinks > 1) (void)set_attributes(file.get(), attributes);
  if (!removed) throw std::system_error(windows_error(why));
}

void remove_path(const std::wstring& path, DWORD attributes) {
  if (((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? ::RemoveDirectoryW(path.c_str()) : ::DeleteFileW(path.c_str())) != 0) return;
  // As elsewhere, a file that may not be written may still be removed.
  const DWORD why = ::GetLastError();
  if (why != ERROR_ACCESS_DENIED || (attributes & FILE_ATTRIBUTE_READONLY) == 0) throw std::system_error(windows_error(why));
  remove_read_only(path, attributes);
}

/// Its removal, by somebody else, has begun.
bool is_going(const std::wstring& path, const std::error_code& why) noexcept {
  return why == std::errc::permission_denied && ::GetFileAttributesW(path.c_str()) == INVALID_FILE_ATTRIBUTES;
}

/// Links are removed, not followed. Others may remove the same: what has gone meanwhile is no failure, and what is about to go, which lasts
/// until they have closed it, is waited for.
void remove_tree(const std::wstring& path, DWORD attributes) {
  constexpr int tries = 50;
  const bool enters = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 && (attributes & FILE_ATTRIBUTE_REPARSE_POINT) == 0;
  for (int i = 0;; ++i) {
    std::vector<std::pair<std::wstring, DWORD>> inside;
    std::error_code why;
    try {
      if (enters) {
        each_entry(path, [&](const WIN32_FIND_DATAW& found) { inside.emplace_back(below(path, found.cFileName), found.dwFileAttributes); });
      }
    } catch (const std::system_error& e) {
      why = e.code();
    }
    for (const auto& [name, kind] : inside) remove_tree(name, kind);
    try {
      if (!why) {
        remove_path(path, attributes);
        return;
      }
    } catch (const std::system_error& e) {
      why = e.code();
    }
    if (why == std::errc::no_such_file_or_directory) return;
    // Held: somebody else looks into it, or removes it, at this moment.
    const bool held = why == std::error_code(ERROR_SHARING_VIOLATION, std::system_category());
    const bool waits = held || is_going(path, why) || why == std::errc::directory_not_empty;
    if (!waits || i == tries) throw std::system_error(why);
    ::Sleep(i < 10 ? 1 : 10);
  }
}

void remove_all(const std::wstring& path) {
  refuse_short_name(path);
  const DWORD attributes = ::GetFileAttributesW(path.c_str());
  if (attributes != INVALID_FILE_ATTRIBUTES) {
    remove_tree(path, attributes);
  } else if (last_error() != std::errc::no_such_file_or_directory) {
    fail_now();
  }
}

void sync_directory(const std::wstring& path) {
  if ((attributes_of(path) & FILE_ATTRIBUTE_DIRECTORY) == 0) throw std::system_error(std::make_error_code(std::errc::not_a_directory));
  // The file system's own log orders its names, and renames are written through; where it takes a flush as well, it gets one.
  const unique_handle directory = open_existing(path, FILE_ADD_FILE, FILE_FLAG_BACKUP_SEMANTICS);
  if (!directory) fail_now();
  if (::FlushFileBuffers(directory.get()) == 0 && !is_unknown_here(::GetLastError())) fail_now();
}

void make_directory(const std::wstring& path) {
  if (::CreateDirectoryW(path.c_str(), nullptr) != 0) return;
  const DWORD why = ::GetLastError();
  // Of the root of a volume it is "denied".
  if (::GetFileAttributesW(path.c_str()) != INVALID_FILE_ATTRIBUTES) {
    refuse_short_name(path);
    throw std::system_error(std::make_error_code(std::errc::file_exists));
  }
  throw std::system_error(windows_error(why));
}

/// A scanner or an indexer may have something open for a moment, in a directory too; that is waited for.
void rename(const std::wstring& from, const std::wstring& to, DWORD flags) {
  constexpr int tries = 20;
  for (int i = 0;; ++i) {
    if (::MoveFileExW(from.c_str(), to.c_str(), flags | MOVEFILE_WRITE_THROUGH) != 0) return;
    const DWORD why = ::GetLastError();
    const bool held = why == ERROR_SHARING_VIOLATION || why == ERROR_LOCK_VIOLATION || why == ERROR_ACCESS_DENIED;
    if (!held || i == tries) throw std::system_error(windows_error(why));
    ::Sleep(50);
  }
}

}  // namespace

void take_identity(const FILE_ID_128& id, file_facts& into) noexcept {
  std::array<std::uint64_t, 2> halves{};
  static_assert(sizeof halves == sizeof id);
  std::memcpy(halves.data(), &id, sizeof halves);
  std::uint64_t upper = halves[1];
  upper = (upper ^ (upper >> 30U)) * 0xbf58476d1ce4e5b9U;   // splitmix64: one to one, and zero stays zero
  upper = (upper ^ (upper >> 27U)) * 0x94d049bb133111ebU;
  upper ^= upper >> 31U;
  into.device ^= upper;
  into.inode = halves[0];
}

file_facts facts_of(HANDLE file, const BY_HANDLE_FILE_INFORMATION& from) noexcept {
  file_facts out;
  const bool directory = (from.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  if (!directory) out.bytes = (std::uint64_t{from.nFileSizeHigh} << 32U) | from.nFileSizeLow;
  out.device = from.dwVolumeSerialNumber;
  out.inode = (std::uint64_t{from.nFileIndexHigh} << 32U) | from.nFileIndexLow;
  FILE_ID_INFO whole{};
  if (::GetFileInformationByHandleEx(file, FileIdInfo, &whole, sizeof whole) != 0) take_identity(whole.FileId, out);
  // Access lists have no such form: what a set tells another system is the owner's right alone.
  out.mode = directory ? 0700U : (from.dwFileAttributes & FILE_ATTRIBUTE_READONLY) != 0 ? 0400U : 0600U;
  return out;
}

void perform_on_names(operation& op) {
  name_arguments& names = *op.names;
  switch (op.what) {
    case request::open: open_file(op); break;
    case request::rename: {
      const std::wstring to = system_path(names.second);
      refuse_short_name(to);
      rename(system_path(names.first), to, MOVEFILE_REPLACE_EXISTING);
      break;
    }
    case request::rename_new: rename(system_path(names.first), system_path(names.second), 0); break;
    case request::remove: {
      const std::wstring path = system_path(names.first);
      refuse_short_name(path);
      remove_path(path, attributes_of(path));
      break;
    }
    case request::remove_all: remove_all(system_path(names.first)); break;
    case request::make_directory: make_directory(system_path(names.first)); break;
    case request::sync_directory: sync_directory(system_path(names.first)); break;
    case request::set_attributes: (void)attributes_of(system_path(names.first)); break;   // no such rights here; but the name must be
    case request::list: list_names(names); break;
    case request::stat: stat_name(names); break;
    case request::lock: names.lock = held_lock(std::make_unique<handle_lock>(lock_file(names.first))); break;
    default: throw std::system_error(std::make_error_code(std::errc::invalid_argument));
  }
}

}  // namespace contrail::io::detail
