#pragma once

#include "engines/pagestore/instance/running_backup.hpp"

#include <contrail/io/file_system.hpp>
#include <contrail/source.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace contrail::pagestore {

/// A closed generation of the log, checked sector by sector as it passes, and against the header of the next one at its end: else -612.
/// `finished` is called when all of it was delivered and is right.
[[nodiscard]] asio::awaitable<std::unique_ptr<source>> open_log_source(io::file_system fs, log_copy what, std::uint32_t generation,
                                                                       std::function<void()> finished);

}  // namespace contrail::pagestore
