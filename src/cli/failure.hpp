#pragma once

#include <contrail/error.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace contrail::cli {

/// Exit statuses. A signal gives 128 and its number: 130 for SIGINT, 143 for SIGTERM.
namespace exit_status {
inline constexpr int done = 0, failed = 1, usage = 2, damage = 3, signal_base = 128;
}

/// The command line is wrong: exit status 2.
class usage_error : public std::runtime_error {
 public:
  explicit usage_error(const std::string& text, std::string hint = {}, errc code = errc::invalid_parameter)
      : std::runtime_error(text), hint_(std::move(hint)), code_(code) {}
  const std::string& hint() const noexcept { return hint_; }
  errc code() const noexcept { return code_; }

 private:
  std::string hint_;
  errc code_;
};

/// A signal ended the operation, which has cleaned up.
class interrupted : public std::runtime_error {
 public:
  explicit interrupted(int signal);
  int signal() const noexcept { return signal_; }

 private:
  int signal_;
};

/// Something failed, and a set was made all the same.
class set_was_made : public std::runtime_error {
 public:
  /// `text`: instead of what `why` says.
  set_was_made(std::string set, std::exception_ptr why, const std::string& text = {}, std::string hint = {})
      : std::runtime_error(text.empty() ? "set " + set + " is complete" : text), set_(std::move(set)), why_(std::move(why)),
        has_text_(!text.empty()), hint_(std::move(hint)) {}
  const std::string& set() const noexcept { return set_; }
  const std::exception_ptr& why() const noexcept { return why_; }
  bool has_text() const noexcept { return has_text_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  std::string set_;
  std::exception_ptr why_;
  bool has_text_;
  std::string hint_;
};

/// What is told about a failure: on standard error, and with --json on standard output.
struct failure {
  failure() = default;
  int exit = exit_status::failed;
  std::int64_t code = 0;        ///< errc, or the system's errno
  std::string name;             ///< "backup_in_progress", "ENOSPC"
  std::string message;
  std::string operation;
  std::string file;
  std::optional<std::uint64_t> offset;
  std::string set;              ///< that was made all the same; empty: none
  std::string hint;             ///< what to do about it; standard error only
};

/// Does the error say that the bytes of a set, or of a store, are not what they should be? Also when the engine is the one that finds out.
bool is_damage(std::error_code ec);

/// What was going on, as far as it changes what an error means.
enum class activity { other, reads_sets, opens_store };

/// Puts words and an exit status to an exception. Damage is exit status 3 only where sets are read back (verify, restore).
failure describe(const std::exception_ptr& thrown, activity doing);

}  // namespace contrail::cli
