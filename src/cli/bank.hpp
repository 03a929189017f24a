#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A small bank in a SQLite database (WAL mode) whose state can be checked to the last transaction: for the demonstration and the tests.
/// Each writer numbers its transactions from 1 without a gap and writes a journal of them; balances must follow from the journal.
namespace contrail::bank {

constexpr unsigned most_writers = 16;

struct create_options {
  unsigned accounts = 2000;
  unsigned padding = 400;             ///< bytes that each account carries along, so that the database has some size
  std::uint32_t page_bytes = 4096;
};

struct writer_options {
  unsigned writers = 2;
  std::chrono::microseconds pause{20000};  ///< between two transactions of one writer
  unsigned transfers = 4;             ///< per transaction
  unsigned checkpoint_pages = 100;    ///< the log is moved into the database at this length, and started anew
};

/// How the writers got on for a while.
struct pace {
  pace() = default;
  std::uint64_t transactions = 0;
  double seconds = 0;
  std::chrono::microseconds worst{0};   ///< from the begin of a transaction until its commit returned
  double per_second() const noexcept { return seconds > 0 ? static_cast<double>(transactions) / seconds : 0; }
};

/// Makes the database; `file` must not be there. Throws std::runtime_error.
void create(const std::filesystem::path& file, const create_options& options = {});

class writers_process;

/// Writers in a process of their own, a thread each. The constructor forks: before the caller has threads. On Windows it starts the calling
/// program once more, which must ask `serve_writers` first thing. Throws std::runtime_error.
class writers {
 public:
  writers(const std::filesystem::path& file, const writer_options& options = {});
  writers(const writers&) = delete;
  writers& operator=(const writers&) = delete;
  /// Kills what still runs.
  ~writers();

  /// The last transaction of each writer whose commit has returned.
  std::vector<std::uint64_t> acknowledged() const;
  /// Since the last call, or the start. A transaction counts where it ended.
  pace lap();
  /// Waits until each writer has committed `more` further transactions. False when a writer failed, or after `at_most`.
  bool advance(std::uint64_t more, std::chrono::seconds at_most = std::chrono::seconds(60)) const;
  /// Ends the writers after their transaction and closes their connections. Throws std::runtime_error when one of them had failed.
  void stop();
  /// As a crash would: at once, and nothing is closed.
  void kill();

 private:
  std::unique_ptr<writers_process> process_;
  std::uint64_t lap_transactions_ = 0;
  std::chrono::steady_clock::time_point lap_begun_ = std::chrono::steady_clock::now();
  unsigned count_ = 0;
};

/// Was this process started to be the writers of another one? Then it has done so, and this is its exit status.
std::optional<int> serve_writers();

/// What a check found.
struct findings {
  findings() = default;
  bool sound = false;
  std::string problem;                ///< the first one, in words
  std::vector<std::uint64_t> last;    ///< of each writer, the last transaction in the journal; `most_writers` entries
  std::uint64_t transactions = 0;
};
/// Integrity (SQLite's own check), a journal without gaps, and balances that follow from it. Never throws.
findings check(const std::filesystem::path& file);

/// The file and its log, if there is one, as any tool would copy them; `bytes_per_second` 0: as fast as it goes. Throws std::runtime_error.
void plain_copy(const std::filesystem::path& file, const std::filesystem::path& to, std::uint64_t bytes_per_second = 0);

}  // namespace contrail::bank
