#include "engines/sqlite/system.hpp"

#include "engines/sqlite/place.hpp"
#include "engines/sqlite/posix/locks.hpp"

#include <contrail/error.hpp>

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace contrail::sqlite {

namespace {

constexpr const char* holding = "replace the database";

/// SQLite's lock on the file that is to be replaced. A process that opened it meanwhile waits for that lock, and would then work on the
/// old file, which has no name any more, but put its log beside the new one, by name: poison. So the old file, once nothing leads to it, is
/// made "not a database" before the lock goes.
class locked_target final : public target_hold {
 public:
  locked_target(const std::filesystem::path& path, file_identity identity) : path_(path), identity_(identity) {
    // Before we open it ourselves: closing would take the locks of a connection in this process away.
    if (!closing_drops_locks(identity)) {
      fail(errc::database_locked, holding, path.string(), {}, "a system that tells who has the database open", "no /proc/self/fd");
    }
    refuse_openers(-1);
    file_ = descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    std::error_code ec(errno, std::system_category());
    if (!file_ && (errno == EACCES || errno == EPERM || errno == EROFS || errno == ETXTBSY)) {
      file_ = open_for_reading(path, ec);
    } else {
      writable_ = true;
    }
    if (!file_) {
      fail_by_code(ec, holding, path);
    }
  }
  ~locked_target() override {
    if (!writable_) {
      return;
    }
    struct ::stat facts {};
    if (::fstat(as_fd(file_), &facts) == 0 && facts.st_nlink == 0) {
      const char nothing[16] = {};
      // Should it fail there is nothing better to do.
      [[maybe_unused]] const auto ignored = ::pwrite(as_fd(file_), nothing, sizeof nothing, 0);
    }
  }
  locked_target(const locked_target&) = delete;
  locked_target& operator=(const locked_target&) = delete;

  void lock() override {
    if (!lock_out_others(file_, writable_)) {
      fail(errc::database_locked, holding, path_.string(), {}, "a database that nobody has open",
           "a process holds a lock on it; stop it first");
    }
  }
  void unlock() noexcept override { sqlite::unlock(file_); }
  void look_again() override { refuse_openers(as_fd(file_)); }
  bool before_replacing() noexcept override { return false; }   // the name goes to another file, and the lock stays with the old one

 private:
  /// The database's file and whatever stands beside it under SQLite's names.
  void refuse_openers(int own) const {
    std::vector<file_identity> files;
    files.push_back(identity_);
    for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
      if (const auto facts = look_at(beside(path_, suffix))) {
        files.push_back(facts->identity);
      }
    }
    if (const auto opener = find_opener(files, own)) {
      fail(errc::database_locked, holding, path_.string(), {}, "a database that nobody has open", *opener + " has it open; stop it first");
    }
  }

  std::filesystem::path path_;
  file_identity identity_;
  descriptor file_;              ///< its lock goes with it
  bool writable_ = false;
};

}  // namespace

std::unique_ptr<target_hold> make_target_hold(const std::filesystem::path& path, file_identity identity) {
  return std::make_unique<locked_target>(path, identity);
}

}  // namespace contrail::sqlite
