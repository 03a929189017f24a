#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Runs the real program, as a shell would. support/posix and support/windows have what differs between the systems; what Windows cannot
/// do (limits, other users, signals that can be caught) throws there.
namespace contrail::test {

/// How it ended, and what it said.
struct outcome {
  outcome() = default;
  int exit = -1;       ///< -1: a signal killed it
  int signal = 0;
  std::uint64_t peak_bytes = 0;   ///< largest resident memory
  std::string out;
  std::string err;
  nlohmann::ordered_json parsed() const { return nlohmann::ordered_json::parse(out); }
};

/// The names of an object's members, in their order.
inline std::vector<std::string> keys(const nlohmann::ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& item : object.items()) out.push_back(item.key());
  return out;
}

struct launch {
  launch() = default;
  std::map<std::string, std::string> environment;   ///< on top of the test's own
  std::optional<std::uint64_t> largest_file;        ///< RLIMIT_FSIZE
  std::string standard_output;                      ///< a path instead of a buffer; "closed": no descriptor at all; "nobody": a pipe without a reader
  bool closed_input = false;
  bool unprivileged = false;                        ///< as user 65534
};

/// A running program. Its end is awaited, or it is killed, by the destructor.
class program {
 public:
  program(std::string path, std::vector<std::string> arguments, const launch& how = {});
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program();

  void kill(int signal) const;
  /// As the terminal does it: all processes that it has started get the signal, too.
  void kill_family(int signal) const;
  bool running();
  /// Waits. A program that hangs is killed, and the test fails (exit -1, signal SIGKILL, and words in `err`).
  outcome wait(std::chrono::seconds at_most = std::chrono::seconds(60));
  /// Is any process there that it has started, itself included? They share a process group.
  bool family_alive() const;

 private:
  struct state;
  std::unique_ptr<state> self_;
};

/// Starts and waits.
outcome run_program(const std::string& path, const std::vector<std::string>& arguments, const launch& how = {});

/// A directory that is removed with all that is in it.
class workspace {
 public:
  workspace();
  workspace(const workspace&) = delete;
  workspace& operator=(const workspace&) = delete;
  ~workspace();
  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Names in a directory, sorted; empty when it is not there.
std::vector<std::string> names_in(const std::filesystem::path& directory);
std::string read_all(const std::filesystem::path& file);
void write_all(const std::filesystem::path& file, const std::string& bytes);

}  // namespace contrail::test
