#pragma once

#include <contrail/engine.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/restorer.hpp>
#include <contrail/verify.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contrail::cli {

/// What must be ended in an orderly way when the backup is over, whatever came of it.
class source_keeper {
 public:
  virtual ~source_keeper() = default;
  [[nodiscard]] virtual asio::awaitable<void> close() = 0;
};

/// A source that was opened from its URI.
struct opened_source {
  opened_source() = default;
  std::unique_ptr<source_keeper> keeper;        ///< null: nothing to end. Outlives the engine
  std::unique_ptr<contrail::engine> own;        ///< null: the engine is the keeper's
  contrail::engine* from = nullptr;
  /// Bytes that the engine's log may grow by when the user says nothing; 0: no limit.
  std::uint64_t default_log_growth = 0;
};

/// One row of the URI table: `name:rest`. This and the build are the only places that know particular engines.
struct scheme {
  scheme() = default;
  std::string name;                 ///< also the engine's name in manifests
  std::string syntax;               ///< "sqlite:PATH"
  std::string build_option;         ///< empty: it is part of every build
  bool truncates = false;           ///< its full backups can delete logs
  std::string version;              ///< of the engine's library; empty when it is not built in
  asio::awaitable<opened_source> (*open)(io::file_system files, std::string rest) = nullptr;   ///< null: not built in
  std::unique_ptr<contrail::restorer> (*restorer)(const io::file_system& files) = nullptr;
};

/// Every engine that Contrail knows, built in or not.
std::vector<scheme> known_schemes();

/// The rows that depend on the build; defined in with_sqlite/ or without_sqlite/.
scheme sqlite_scheme();
/// Defined in pagestore/.
scheme pagestore_scheme();

/// A URI, split and looked up. Throws `usage_error` for what is no URI (with a hint for a bare path) and for unknown schemes,
/// `contrail::error` (`errc::feature_not_built`) for an engine that this build lacks.
struct source_uri {
  source_uri() = default;
  scheme row;
  std::string rest;
};
source_uri resolve_source(const std::string& text);

/// Restorers of this build, made when asked for.
class restorers final : public restorer_registry {
 public:
  explicit restorers(io::file_system files) : files_(std::move(files)) {}
  restorer* find(std::string_view engine) override;
  /// As find, but fails with `contrail::error` (`errc::feature_not_built`) and names the build option.
  restorer& need(std::string_view engine);

 private:
  io::file_system files_;
  std::map<std::string, std::unique_ptr<restorer>, std::less<>> made_;
};

}  // namespace contrail::cli
