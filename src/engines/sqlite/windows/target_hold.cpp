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
  explicit private_target(const std::filesystem::path& path) : path_(path) { lock(); }

  void lock() override {
    look_again();
    if (!file_) {
      file_ = open_alone(path_);
    }
    if (!file_) {
      fail(errc::file_not_found, holding, path_.string(), {}, {}, "it was removed");
    }
  }
  void unlock() noexcept override { file_ = descriptor(); }
  void look_again() override {
    for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
      (void)open_alone(beside(path_, suffix));
    }
  }
  void before_replacing() noexcept override { unlock(); }

 private:
  /// A scanner or an indexer may have something open for a moment; that is waited for.
  /// Nothing when there is no such file.
  descriptor open_alone(const std::filesystem::path& path) const {
    constexpr int tries = 10;
    for (int i = 0;; ++i) {
      std::error_code ec;
      descriptor out = open_with(path, GENERIC_READ | GENERIC_WRITE, 0, 0, ec);
      if (!out && !is_kept_by_others(ec)) {
        out = open_with(path, GENERIC_READ, 0, 0, ec);   // we may only read it
      }
      if (out || ec == std::errc::no_such_file_or_directory) {
        return out;
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
