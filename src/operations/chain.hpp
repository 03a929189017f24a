#pragma once

#include <contrail/manifest.hpp>
#include <contrail/repository.hpp>
#include <contrail/restorer.hpp>

#include <asio/awaitable.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace contrail::operations {

/// From the full set, or the copy, to the one that was asked for.
using set_chain = std::vector<std::shared_ptr<const manifest>>;

/// What a restore of `set` (an id, or "latest") needs, by the manifests alone. `memory` bounds a reader and, by an eighth of it, the manifests
/// that are kept. Fails as `repository::open` does for the set itself; for those below it with `errc::set_incomplete` when one is not there, or
/// is not the one that the next was built on, and with `errc::set_damaged`, `errc::format_unknown`; with `errc::out_of_memory`.
[[nodiscard]] asio::awaitable<set_chain> find_chain(repository& from, std::string set, std::size_t memory);

/// Fails when the restorer is another engine's, or the chain does not begin with what can be restored by itself.
void check_restorable(const set_chain& chain, const restorer& with, const std::string& operation);

/// Opens a set of the chain; it must still be the one whose manifest was read.
[[nodiscard]] asio::awaitable<std::unique_ptr<set_reader>> open_link(repository& from, std::shared_ptr<const manifest> link, std::size_t memory);

}  // namespace contrail::operations
