#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// Bytes of the bank's pages; little-endian, as the store's own.
namespace contrail::cli::store_bank::bytes {

constexpr std::size_t description_bytes = 48, writer_bytes = 24;
/// So large that writers seldom meet on a page.
constexpr std::size_t account_bytes = 256;

struct description {
  std::uint64_t identity = 0;   ///< of the bank; the same in all of its databases
  std::uint32_t which = 0, of = 0;
  std::uint64_t accounts = 0;
  std::int64_t opening = 0;
};
std::vector<std::byte> description_page(const description& one);
/// Nothing when it is none, or none that could be.
std::optional<description> get_description(std::span<const std::byte> from);

std::vector<std::byte> writer_page(std::uint64_t identity, std::uint64_t number, std::uint64_t last);
/// The last transaction; nothing when it is not this writer's page.
std::optional<std::uint64_t> get_writer(std::span<const std::byte> from, std::uint64_t identity, std::uint64_t number);

struct account {
  std::uint64_t number = 0;
  std::int64_t balance = 0;
  std::uint64_t changes = 0;
};
void put(std::span<std::byte> into, const account& one);
account get_account(std::span<const std::byte> from);
/// Is what follows the figures as `put` has left it?
bool is_whole(std::span<const std::byte> from);

}  // namespace contrail::cli::store_bank::bytes
