#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/manifest.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contrail {

enum class set_status : std::uint8_t { complete, damaged, in_progress };
/// "complete", "damaged", "in-progress".
std::string_view to_string(set_status status) noexcept;

/// One set, as a listing shows it. Cheap facts only: `complete` means that the manifest is whole, not that every file was read.
struct set_entry {
  set_entry() = default;
  std::string set;
  set_status status = set_status::damaged;
  std::shared_ptr<const manifest> info;   ///< null where it cannot be read
  std::string why;                        ///< damaged: in words
};

/// The newest of a listing: the highest sequence. A set whose manifest cannot be read has no sequence that could be believed; when its
/// id is later than that of the best readable one it is taken for the newest, so that an older set is never handed out silently in its
/// place. Null when there is none.
const set_entry* latest_of(const std::vector<set_entry>& sets) noexcept;

/// Reads one set from front to back, in bounded memory. Calls come one after another. Every byte is checked: a chunk may be handed
/// out before the digest of its file is known, so nothing is to be believed before `next` has ended the file with an empty result.
class set_reader {
 public:
  virtual ~set_reader() = default;
  /// A piece of the current file.
  struct chunk {
    chunk() = default;
    std::uint64_t offset = 0;
    io::lease data;
    std::size_t bytes = 0;
  };
  virtual std::shared_ptr<const manifest> info() const = 0;
  /// The next file; empty at the end of the set, which is proven when no call failed and every file was read to its end. A file that
  /// was not is skipped. After a failure the call may be repeated, and goes on behind what failed. Fails with `errc::set_damaged` or
  /// `errc::set_incomplete` for damage that is not one file's (list, counts, root digest), `errc::unsafe_path` for a name,
  /// `errc::format_unknown` for an entry of an unknown kind; after the last file with `errc::foreign_file` for each thing that stands in
  /// the set and is no part of it: what was read before is whole all the same.
  [[nodiscard]] virtual asio::awaitable<std::optional<manifest_file>> next_file() = 0;
  /// The next piece of that file; empty at its end, when length and digest were right. Fails with `errc::set_damaged` or
  /// `errc::set_incomplete`, naming file and offset; the caller may then go on with `next_file`, to find all damage.
  [[nodiscard]] virtual asio::awaitable<std::optional<chunk>> next() = 0;
};

/// Holds backup sets. Members may be awaited from any executor; failures are `contrail::error`.
class repository {
 public:
  virtual ~repository() = default;
  /// In order of their sequence numbers; sets whose manifest cannot be read come last. Fails with `errc::not_a_repository`.
  [[nodiscard]] virtual asio::awaitable<std::vector<set_entry>> list() = 0;
  /// Opens a set by id, or "latest": the complete or damaged set with the highest sequence. Fails with `errc::set_not_found`, or as
  /// `manifest::read` does. `memory` bounds what the reader uses, in bytes; 768 KiB must be enough.
  [[nodiscard]] virtual asio::awaitable<std::unique_ptr<set_reader>> open(std::string set, std::size_t memory) = 0;
};

}  // namespace contrail
