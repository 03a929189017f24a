#include "engines/sqlite/system.hpp"

#include "engines/sqlite/place.hpp"
#include "engines/sqlite/windows/handles.hpp"

#include <contrail/error.hpp>

namespace contrail::sqlite {

namespace {

constexpr const char* holding = "replace the database";

/// The file opened for nobody else. SQLite opens its files so that they can be neither replaced nor removed while it has them, so whoever
/// comes after the hold had to end (`before_replacing`) makes the replacement fail: nobody ever goes on with an old file under another's name.
class private_target final : public target_hold {
 public:
  explicit private_target(const std::filesystem::path& path) : path_(path) {
    refuse_read_only();
    lock();
  }

  void lock() override {
    // The database first: who comes while that is kept from him cannot open it, while one who found a log or an index kept would go on with
    // a database that he may only read.
    if (!file_) {
      file_ = open_alone(path_, true);
    }
    if (!file_) {
      fail(errc::file_not_found, holding, path_.string(), {}, {}, "it was removed");
    }
    look_again();
  }
  void unlock() noexcept override { file_ = descriptor(); }
  void look_again() override {
    for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
      (void)open_alone(beside(path_, suffix), false);
    }
  }
  bool before_replacing() noexcept override {
    unlock();
    return true;
  }

 private:
  /// The system replaces no such file, which would be known only after its log was removed; nor could that log be brought into it before.
  [[noreturn]] void fail_unwritable() const {
    fail(errc::file_access_denied, holding, path_.string(), {}, "a file that may be written and replaced",
         "a file that is read-only, or no right to write or to remove it");
  }
  void refuse_read_only() const {
    const DWORD attributes = ::GetFileAttributesW(system_name(path_).c_str());
    if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_READONLY) != 0) {
      fail_unwritable();
    }
  }
  /// A scanner or an indexer may have something open for a moment; that is waited for.
  /// Nothing when there is no such file.
  descriptor open_alone(const std::filesystem::path& path, bool database) const {
    constexpr int tries = 10;
    for (int i = 0;; ++i) {
      std::error_code ec;
      descriptor out = open_with(path, GENERIC_READ | GENERIC_WRITE | (database ? DELETE : 0), 0, 0, ec);
      if (!out && !database && !is_kept_by_others(ec)) {
        out = open_with(path, GENERIC_READ, 0, 0, ec);   // we may only read it
      }
      if (out || ec == std::errc::no_such_file_or_directory) {
        return out;
      }
      if (database && ec == std::errc::permission_denied) {
        fail_unwritable();
      }
      if (!is_kept_by_others(ec)) {
        fail_by_code(ec, holding, path);
      }
      if (i == tries) {
        fail(errc::database_locked, holding, path_.string(), {}, "a database that nobody has open",
             "a process has " + path.filename().string() + " open; stop it first");
      }
      ::Sleep(50);
    }
  }

  std::filesystem::path path_;
  descriptor file_;
};

}  // namespace

std::unique_ptr<target_hold> make_target_hold(const std::filesystem::path& path, file_identity) {
  return std::make_unique<private_target>(path);
}

}  // namespace contrail::sqlite
