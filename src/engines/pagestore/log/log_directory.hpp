#pragma once

#include <contrail/engines/pagestore/parameters.hpp>
#include <contrail/io/file_system.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

/// Which logs are there.
namespace contrail::pagestore {

/// Names alone; nothing is opened. A directory that is missing has none.
struct log_listing {
  log_listing() = default;
  std::vector<std::uint32_t> numbered;   ///< generations, ascending
  bool current = false;                  ///< `<base>.log`
  bool prepared = false;                 ///< `<base>tmp.log`
  bool checkpoint = false;
  bool empty() const noexcept { return numbered.empty() && !current; }
};
[[nodiscard]] asio::awaitable<log_listing> list_logs(io::file_system fs, const parameters& how);

/// The generations without a gap up to the newest.
struct log_run {
  log_run() = default;
  std::uint32_t lowest = 0;
  std::uint32_t highest = 0;
  bool current = false;                  ///< the highest is `<base>.log`, else it has a number
  std::vector<std::uint32_t> garbage;    ///< below a gap: deletions that a crash undid, ascending; never counted as there
  bool has(std::uint32_t generation) const noexcept { return generation >= lowest && generation <= highest; }
};
/// `current`: the generation of `<base>.log`, where there is one. Fails with -515 when a number stands twice, or is above it. `there` must not be
/// empty.
log_run find_run(const log_listing& there, std::optional<std::uint32_t> current, const parameters& how);

/// The file of a generation of the run.
std::filesystem::path log_path(const parameters& how, const log_run& run, std::uint32_t generation);
std::filesystem::path numbered_log_path(const parameters& how, std::uint32_t generation);
std::filesystem::path current_log_path(const parameters& how);
/// Where the next log is made ahead.
std::filesystem::path prepared_log_path(const parameters& how);
std::filesystem::path checkpoint_path(const parameters& how);

}  // namespace contrail::pagestore
