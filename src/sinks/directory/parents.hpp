#pragma once

#include <contrail/io/buffer_pool.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/manifest.hpp>

#include <asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace contrail::directory {

/// Can `child` be restored here, as far as manifests tell: is each set that it builds on in this repository, up to one that builds on none?
/// `given`: the parent as the caller of the backup knows it; null: not known. Fails with `errc::missing_full_backup`, or as `read_manifest` does
/// for one that is there and damaged.
[[nodiscard]] asio::awaitable<void> require_parents(io::file_system fs, io::buffer_pool& texts, std::filesystem::path repository,
                                                    manifest child, std::shared_ptr<const manifest> given, std::string operation);

}  // namespace contrail::directory
