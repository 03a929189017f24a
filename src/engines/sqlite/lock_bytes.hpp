#pragma once

#include <contrail/source.hpp>

#include <cstdint>
#include <memory>

namespace contrail::sqlite {

/// Where SQLite's lock bytes are. The page that holds them belongs to no table, and is never written (fileformat2.html, section 1.4).
constexpr std::uint64_t lock_bytes_at = 0x40000000;

/// The database's file without a look at that page, which comes out as zeros: where locks are mandatory somebody's would make an error of
/// the read. `body` delivers whole pages, its granularity is their size.
std::unique_ptr<source> around_lock_bytes(std::unique_ptr<source> body, std::uint64_t at = lock_bytes_at);

}  // namespace contrail::sqlite
