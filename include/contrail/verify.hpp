#pragma once

#include <contrail/error.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/progress.hpp>
#include <contrail/repository.hpp>
#include <contrail/restorer.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contrail {

/// Options of verify(). Trivially destructible; what is pointed to outlives the operation.
struct verify_options {
  std::string_view set = "all";                        ///< id, "latest" or "all"
  std::size_t memory = std::size_t{64} << 20;          ///< bytes, the whole budget; at least 1 MiB
  const std::filesystem::path* scratch = nullptr;      ///< where a proof recovers; null: the system's temporary directory
  struct progress* progress = nullptr;
  const io::file_system* files = nullptr;              ///< of the scratch directory; null: the executor's own file system
};

/// One thing that is wrong with a set.
struct file_damage {
  file_damage() = default;
  std::string file;                        ///< within the set; empty: the set as a whole
  std::optional<std::uint64_t> offset;     ///< bytes, where known
  std::string what;                        ///< in words
};

struct verify_entry {
  verify_entry() = default;
  std::string set;
  std::string engine;
  std::vector<file_damage> damage;         ///< empty: good
  bool proven = false;                     ///< recovered, and checked by the engine
};

struct verify_report {
  verify_report() = default;
  std::vector<verify_entry> sets;
};

/// Finds the restorer of an engine for a proof; null when this build has none.
class restorer_registry {
 public:
  virtual ~restorer_registry() = default;
  virtual restorer* find(std::string_view engine) = 0;
};

/// Reads every byte of the sets and checks it; damage is reported, not thrown. With `provers` each undamaged set is also recovered in a
/// scratch directory, which is removed again, and checked by its engine. Fails with `contrail::error` when there is nothing to
/// verify (`errc::set_not_found`), the repository cannot be read, or a set could not be checked or proven for a reason that is not the
/// set's and no other set is damaged; where one is, the set that could not be checked stands in the report with that reason.
[[nodiscard]] asio::awaitable<verify_report> verify(repository& of, restorer_registry* provers = nullptr, verify_options options = {});

/// Token form, started on `ex`: void(std::exception_ptr, verify_report).
template <typename Token>
auto async_verify(asio::any_io_executor ex, repository& of, restorer_registry* provers, verify_options options, Token&& token) {
  return asio::co_spawn(std::move(ex), verify(of, provers, options), std::forward<Token>(token));
}

}  // namespace contrail
