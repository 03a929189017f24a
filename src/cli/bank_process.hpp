#pragma once

#include "bank.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>

/// The writers' process, which each system starts in its own way.
namespace contrail::bank {

/// In memory that two processes share.
struct writers_state {
  std::array<std::atomic<std::uint64_t>, most_writers> last{};
  std::atomic<std::int64_t> worst_us{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  std::array<char, 200> why{};   ///< complete before `failed` is set
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free, "they are shared by processes");

class writers_process {
 public:
  virtual ~writers_process() = default;   ///< kills what still runs
  virtual writers_state& state() const noexcept = 0;
  virtual void wait() noexcept = 0;
  virtual void kill() noexcept = 0;
};
std::unique_ptr<writers_process> start_writers(const std::filesystem::path& file, const writer_options& options);

/// In that process: until they are told to stop. The exit status.
int run_writers(writers_state& state, const std::filesystem::path& file, const writer_options& options);

}  // namespace contrail::bank
