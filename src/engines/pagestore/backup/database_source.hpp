#pragma once

#include "engines/pagestore/instance/core.hpp"

#include <contrail/page_source.hpp>
#include <contrail/source.hpp>

#include <cstdint>
#include <functional>
#include <memory>

/// A database as it is copied: its header as it was when the copy began, twice; its pages, each checked; and a trailer page that says which logs
/// belong to it (docs/pagestore.md, "Backup").
namespace contrail::pagestore {

/// `finished` is called when all of it was delivered. Awaited on the session's strand.
[[nodiscard]] asio::awaitable<std::unique_ptr<source>> open_database_source(std::shared_ptr<instance_core> core, io::file_system fs,
                                                                            std::shared_ptr<const running_backup> of, std::uint8_t id,
                                                                            read_policy policy, read_counters* counters,
                                                                            std::function<void(const database_copy&)> finished);

}  // namespace contrail::pagestore
