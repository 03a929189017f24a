#include "engines/sqlite/system.hpp"

#include "engines/sqlite/windows/handles.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_identity.hpp>

#include <algorithm>
#include <string_view>

namespace contrail::sqlite {

namespace {

// The lock bytes of SQLite's file system for Windows: pending, reserved, and 510 shared ones.
constexpr DWORD shared_first = 0x40000002;
constexpr DWORD shared_count = 510;

constexpr const char* looking = "look at the database";
constexpr DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
constexpr std::wstring_view verbatim = L"\\\\?\\";
constexpr std::wstring_view verbatim_share = L"\\\\?\\UNC\\";

/// `from` is open. Nothing when it cannot be told.
std::optional<name_facts> facts_of(HANDLE from) noexcept {
  BY_HANDLE_FILE_INFORMATION facts{};
  const auto identity = io::identity_of(reinterpret_cast<std::intptr_t>(from));
  if (!identity || ::GetFileInformationByHandle(from, &facts) == 0) {
    return {};
  }
  name_facts out;
  out.identity = {identity->device, identity->inode};   // as the I/O layer tells them
  out.bytes = (std::uint64_t{facts.nFileSizeHigh} << 32U) | facts.nFileSizeLow;
  out.links = facts.nNumberOfLinks;
  out.directory = (facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  out.regular = !out.directory && ::GetFileType(from) == FILE_TYPE_DISK;
  return out;
}

/// What a function of the system that fills a buffer with a name gives.
template <typename Fill>
std::wstring whole_name(Fill fill, const std::wstring& from, std::error_code& ec) {
  std::wstring out(MAX_PATH, L'\0');
  for (;;) {
    const DWORD length = fill(from.c_str(), static_cast<DWORD>(out.size()), out.data(), nullptr);
    if (length == 0) {
      ec = last_error();
      return {};
    }
    const bool fits = length < out.size();
    out.resize(length);
    if (fits) {
      return out;
    }
  }
}

/// What the directory says of the name's last part, which is no pattern.
bool find(const std::wstring& path, WIN32_FIND_DATAW& out) noexcept {
  try {
    const HANDLE search = ::FindFirstFileW(system_name(path).c_str(), &out);
    if (search == INVALID_HANDLE_VALUE) {
      return false;
    }
    ::FindClose(search);
    return true;
  } catch (...) {
    return false;
  }
}

/// `full` is what SQLite makes of `given`, and is there.
void refuse_other_name(const std::filesystem::path& given, const std::filesystem::path& full) {
  const std::wstring name = full.filename().native();
  WIN32_FIND_DATAW found{};
  if (!find(full.native(), found)) {
    if (name.find(L'~') != std::wstring::npos) {
      fail(errc::invalid_path, looking, given.string(), {}, "the database's long name",
           "a name that may be a short one; the directory cannot be read to tell. Give the right to list it, or use a name without '~'");
    }
  } else if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0 &&
             ::CompareStringOrdinal(found.cFileName, -1, name.data(), static_cast<int>(name.size()), TRUE) != CSTR_EQUAL) {
    fail(errc::invalid_path, looking, given.string(), {}, "the database's long name, " + std::filesystem::path(found.cFileName).string(),
         "its short name, under which SQLite keeps another log; every process must open the database by the long one");
  }
}

}  // namespace

std::error_code last_error() noexcept { return {static_cast<int>(::GetLastError()), std::system_category()}; }

std::wstring system_name(const std::filesystem::path& path) {
  std::wstring name = path.native();
  std::replace(name.begin(), name.end(), L'/', L'\\');
  if (name.starts_with(verbatim) || name.starts_with(L"\\\\.\\")) {
    return name;
  }
  if (name.starts_with(L"\\\\")) {
    return std::wstring(verbatim_share) + name.substr(2);
  }
  // A relative one has no such form; names are resolved before anything but a first look at them.
  return name.size() > 2 && name[1] == L':' && name[2] == L'\\' ? std::wstring(verbatim) + name : name;
}

descriptor open_with(const std::filesystem::path& path, DWORD access, DWORD share, DWORD flags, std::error_code& ec) noexcept {
  try {
    descriptor out(reinterpret_cast<std::intptr_t>(
        ::CreateFileW(system_name(path).c_str(), access, share, nullptr, OPEN_EXISTING, flags, nullptr)));
    if (!out) {
      ec = last_error();
    }
    return out;
  } catch (...) {
    ec = std::make_error_code(std::errc::not_enough_memory);
    return {};
  }
}

descriptor& descriptor::operator=(descriptor&& other) noexcept {
  if (this != &other) {
    if (*this) {
      ::CloseHandle(as_handle(*this));
    }
    native_ = std::exchange(other.native_, -1);
  }
  return *this;
}

descriptor::~descriptor() {
  if (*this) {
    ::CloseHandle(as_handle(*this));
  }
}

std::uint64_t descriptor::bytes() const noexcept {
  LARGE_INTEGER length{};
  return *this && ::GetFileSizeEx(as_handle(*this), &length) != 0 ? static_cast<std::uint64_t>(length.QuadPart) : 0;
}

std::optional<name_facts> look_at(const std::filesystem::path& path, std::error_code& ec) noexcept {
  // For its attributes a file can be opened whoever keeps it.
  const descriptor file = open_with(path, FILE_READ_ATTRIBUTES, share_all, FILE_FLAG_BACKUP_SEMANTICS, ec);
  if (!file) {
    return {};
  }
  const std::optional<name_facts> out = facts_of(as_handle(file));
  if (!out) {
    ec = last_error();
  }
  return out;
}

void refuse_other_log(const std::filesystem::path& path) {
  WIN32_FIND_DATAW found{};
  if (!find(path.native(), found) || found.cAlternateFileName[0] == L'\0') {
    return;
  }
  const std::filesystem::path other = path.parent_path() / found.cAlternateFileName;
  for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
    const std::filesystem::path beside_other = beside(other, suffix);
    if (look_at(beside_other)) {
      fail(errc::invalid_path, looking, path.string(), {}, "a database that is opened by its long name only",
           beside_other.filename().string() + " stands beside it: an application opens it, or opened it, by its short name, and what that wrote may "
           "stand there alone. Open the database once by the name " + other.filename().string() + ", close it, and use the long name from then on");
    }
  }
}

// SQLite follows no links here, and keeps the log beside the name by which a database is opened: the short form of that name (REPORT~1.DB),
// which it does not make long, gives the log another name.
std::filesystem::path resolve(const std::filesystem::path& path, std::error_code& ec) {
  const std::wstring full = whole_name(&::GetFullPathNameW, std::filesystem::path(path).make_preferred().native(), ec);
  const descriptor file = ec ? descriptor() : open_with(full, FILE_READ_ATTRIBUTES, share_all, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, ec);
  if (!file) {
    return {};
  }
  FILE_ATTRIBUTE_TAG_INFO facts{};
  if (::GetFileInformationByHandleEx(as_handle(file), FileAttributeTagInfo, &facts, sizeof facts) != 0 &&
      (facts.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && facts.ReparseTag == IO_REPARSE_TAG_SYMLINK) {
    fail(errc::invalid_path, "look at the database", path.string(), {}, "the file itself, by the name that the application opens",
         "a symbolic link, which SQLite does not follow to the log");
  }
  refuse_other_name(path, full);
  std::error_code as_it_is;
  std::wstring name = whole_name([](LPCWSTR from, DWORD units, LPWSTR to, LPWSTR*) { return ::GetLongPathNameW(from, to, units); }, system_name(full), as_it_is);
  if (as_it_is) {
    name = full;
  }
  // Without the prefix, as people write it, and as long as that leads to the same file.
  if (name.starts_with(verbatim_share)) {
    name = L"\\\\" + name.substr(verbatim_share.size());
  }
  std::filesystem::path out = name.starts_with(verbatim) && name.size() > 5 && name[5] == L':' ? name.substr(verbatim.size()) : name;
  refuse_other_log(out);
  return out;
}

std::string for_sqlite(const std::filesystem::path& path) {
  // SQLite adds up to ten characters, and knows no names beyond the system's old limit but those with the prefix.
  constexpr std::size_t safe = MAX_PATH - 16;
  return path.native().size() < safe ? path.string() : std::filesystem::path(system_name(path)).string();
}

descriptor open_for_reading(const std::filesystem::path& path, std::error_code& ec) noexcept {
  return open_with(path, GENERIC_READ, share_all, 0, ec);
}

std::string read_front(const descriptor& file, std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    OVERLAPPED at{};
    at.Offset = static_cast<DWORD>(have);
    DWORD got = 0;
    if (::ReadFile(as_handle(file), out.data() + have, static_cast<DWORD>(bytes - have), &got, &at) == 0 || got == 0) {
      break;
    }
    have += got;
  }
  out.resize(have);
  return out;
}

bool may_write(const std::filesystem::path& path) noexcept {
  std::error_code ec;
  return open_with(path, GENERIC_WRITE, share_all, 0, ec) || is_kept_by_others(ec);
}

bool is_kept_by_others(std::error_code ec) noexcept {
  return ec == std::error_code(ERROR_SHARING_VIOLATION, std::system_category()) || ec == std::error_code(ERROR_LOCK_VIOLATION, std::system_category());
}

bool others_hold_locks(const std::filesystem::path& database) noexcept {
  // Who comes while our lock is there, for a moment, finds the database busy and tries again. (A file that could not be opened to write
  // SQLite would open for reading only, and leave the application with that.)
  std::error_code ec;
  const descriptor file = open_with(database, GENERIC_READ, share_all, 0, ec);
  if (!file) {
    return is_kept_by_others(ec);
  }
  OVERLAPPED at{};
  at.Offset = shared_first;
  if (::LockFileEx(as_handle(file), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, shared_count, 0, &at) == 0) {
    return ::GetLastError() == ERROR_LOCK_VIOLATION;
  }
  ::UnlockFileEx(as_handle(file), 0, shared_count, 0, &at);
  return false;
}

// Each lock belongs to its handle.
std::optional<bool> closing_drops_locks(file_identity) { return false; }

bool lock_bytes_block_reading() noexcept { return true; }

int has_moved(const sqlite_functions& sql, sqlite3* connection, const std::filesystem::path& path, bool& moved) {
  HANDLE file = INVALID_HANDLE_VALUE;
  const int code = sql.file_control(connection, "main", SQLITE_FCNTL_WIN32_GET_HANDLE, static_cast<void*>(&file));
  if (code == SQLITE_OK) {
    const auto opened = facts_of(file);
    const auto named = look_at(path);
    moved = !opened || !named || opened->identity != named->identity;
  }
  return code;
}

}  // namespace contrail::sqlite
