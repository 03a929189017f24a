#pragma once

#include "cli/failure.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace contrail::cli {

using json = nlohmann::ordered_json;

/// Version of every JSON object that the program prints.
inline constexpr int json_schema = 1;

/// Where the program speaks: results on standard output, everything else on standard error. One thread.
class console {
 public:
  explicit console(bool as_json) : as_json_(as_json) {}

  bool as_json() const noexcept { return as_json_; }

  /// From now on results go to standard error, because standard output has lines of another kind: those of `print_line`.
  void results_on_standard_error() noexcept { diverted_ = true; }

  /// Writes and flushes. Fails with `contrail::error` when standard output does not take it.
  void print(std::string_view text);
  /// The same, always on standard output.
  void print_line(std::string_view text);
  /// One object, and a line feed. Bytes that are no UTF-8 are replaced.
  void print_json(const json& object);

  /// "contrail: ..." on standard error.
  void note(std::string_view text);
  /// An indented line below a note.
  void hint(std::string_view text);
  /// The failure in words, and with --json as an object on standard output.
  void report(const failure& what);

  /// The line that is redrawn in place, on standard error. Empty: take it away.
  void status(std::string_view line);

 private:
  void write_error(std::string_view text);

  bool as_json_;
  bool diverted_ = false;
  bool status_shown_ = false;
  bool unwritable_ = false;   ///< standard output refused what it was given
};

/// A set of `{"schema": 1}` to begin an object with.
json json_object();

}  // namespace contrail::cli
