#pragma once

#include <contrail/source.hpp>
#include <contrail/types.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace contrail {

/// A database as the manifest names it.
struct manifest_database {
  manifest_database() = default;
  std::string name;              ///< the engine's name for it at backup time
  std::string restore_name;      ///< relative name in the set
  std::string signature;
  std::uint64_t pages = 0;
  std::uint32_t page_bytes = 0;
};

/// The small, self-checking description of one set (docs/repository-format.md). A value; has counts and the root digest but no files:
/// those are lines of `files.jsonl`.
class manifest {
 public:
  manifest() = default;

  static constexpr unsigned current_schema = 1;

  unsigned schema = current_schema;
  std::string set;                       ///< id: UTC time and a random part
  std::uint64_t sequence = 0;            ///< order of commits in its repository, from 1; not a clock
  kind what = kind::full;
  std::string parent;                    ///< set id; empty for full and copy
  mark at;                               ///< the engine's mark of this backup
  mark parent_mark;                      ///< the mark by which the parent was found
  std::int64_t created_unix_ns = 0;      ///< wall clock at the commit, UTC; for people, never for order
  std::string engine;                    ///< engine_traits::name
  std::string engine_version;
  std::string engine_state;              ///< opaque bytes of the adapter
  std::string signature;                 ///< of the log stream or the database, engine's own text
  std::uint32_t page_bytes = 0;
  log_range logs;
  std::vector<manifest_database> databases;
  std::uint64_t files = 0;               ///< lines of files.jsonl
  std::uint64_t bytes = 0;               ///< sum of the stored lengths
  std::uint64_t pages = 0;
  std::string root_digest;               ///< over the lines of files.jsonl
  std::vector<std::string> must_understand;   ///< features without which a reader must refuse the set

  /// The whole text of `manifest.json`, ending with a line feed; its own digest is inside.
  std::string write() const;
  /// Checks the digest before it believes anything, the schema included. Fails with `contrail::error`: `errc::set_damaged`,
  /// `errc::format_unknown` (newer schema, unknown must_understand). `file` is used in messages only.
  static manifest read(std::string_view text, std::string_view file);
};

/// A new set id, "20261123T101500Z-1f2e3d4c": UTC now and 32 random bits.
std::string make_set_id();
/// Has `id` the form that make_set_id() gives? Names of other directories are not sets.
bool is_set_id(std::string_view id) noexcept;

/// One line of `files.jsonl`: what was copied, and what is stored of it.
struct manifest_file {
  manifest_file() = default;
  file_info file;
  std::uint64_t bytes = 0;
  std::uint64_t valid = 0;
  std::string digest;

  /// Without the line feed.
  std::string write() const;
  /// Fails with `errc::set_damaged` or `errc::unsafe_path`. `where` is used in messages only.
  static manifest_file read(std::string_view line, std::string_view where);
};

/// May `name` be created below a directory: relative, no "..", no empty or "." part, no NUL, no backslash, no drive; at most 4096 bytes.
bool is_safe_name(std::string_view name) noexcept;

}  // namespace contrail
