#include "cli/pagestore/bank_bytes.hpp"

#include <bit>

namespace contrail::cli::store_bank::bytes {

namespace {

constexpr std::uint64_t bank_magic = 0x314b4e4142525443;     // "CTRBANK1"
constexpr std::uint64_t writer_magic = 0x3152545257525443;   // "CTRWRTR1"
constexpr std::size_t figures = 24;   // of an account

void put_number(std::span<std::byte> into, std::size_t at, std::uint64_t value, std::size_t count = 8) {
  for (std::size_t i = 0; i < count; ++i) {
    into[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

std::uint64_t get_number(std::span<const std::byte> from, std::size_t at, std::size_t count = 8) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out |= std::to_integer<std::uint64_t>(from[at + i]) << (8 * i);
  }
  return out;
}

/// Depends on everything that the account says, so that halves of two states are seen.
std::byte filler(const account& one, std::size_t at) {
  const std::uint64_t mixed = (one.number * 0x9e3779b97f4a7c15 + std::bit_cast<std::uint64_t>(one.balance)) * 0x9e3779b97f4a7c15 + one.changes;
  return static_cast<std::byte>((mixed >> (at % 7 * 8)) + at);
}

}  // namespace

std::vector<std::byte> description_page(const description& one) {
  std::vector<std::byte> out(description_bytes);
  put_number(out, 0, bank_magic);
  put_number(out, 8, one.identity);
  put_number(out, 16, one.which, 4);
  put_number(out, 20, one.of, 4);
  put_number(out, 24, one.accounts);
  put_number(out, 32, std::bit_cast<std::uint64_t>(one.opening));
  put_number(out, 40, account_bytes, 4);
  return out;
}

std::optional<description> get_description(std::span<const std::byte> from) {
  if (from.size() < description_bytes || get_number(from, 0) != bank_magic || get_number(from, 40, 4) != account_bytes) {
    return std::nullopt;
  }
  description out;
  out.identity = get_number(from, 8);
  out.which = static_cast<std::uint32_t>(get_number(from, 16, 4));
  out.of = static_cast<std::uint32_t>(get_number(from, 20, 4));
  out.accounts = get_number(from, 24);
  out.opening = std::bit_cast<std::int64_t>(get_number(from, 32));
  constexpr std::uint32_t most = 6;
  if (out.of == 0 || out.of > most || out.which >= out.of || out.accounts < 2) {
    return std::nullopt;
  }
  return out;
}

std::vector<std::byte> writer_page(std::uint64_t identity, std::uint64_t number, std::uint64_t last) {
  std::vector<std::byte> out(writer_bytes);
  put_number(out, 0, writer_magic ^ identity);
  put_number(out, 8, number);
  put_number(out, 16, last);
  return out;
}

std::optional<std::uint64_t> get_writer(std::span<const std::byte> from, std::uint64_t identity, std::uint64_t number) {
  if (from.size() < writer_bytes || get_number(from, 0) != (writer_magic ^ identity) || get_number(from, 8) != number) {
    return std::nullopt;
  }
  return get_number(from, 16);
}

void put(std::span<std::byte> into, const account& one) {
  put_number(into, 0, one.number);
  put_number(into, 8, std::bit_cast<std::uint64_t>(one.balance));
  put_number(into, 16, one.changes);
  for (std::size_t i = figures; i < account_bytes; ++i) {
    into[i] = filler(one, i);
  }
}

account get_account(std::span<const std::byte> from) {
  account out;
  out.number = get_number(from, 0);
  out.balance = std::bit_cast<std::int64_t>(get_number(from, 8));
  out.changes = get_number(from, 16);
  return out;
}

bool is_whole(std::span<const std::byte> from) {
  const account one = get_account(from);
  for (std::size_t i = figures; i < account_bytes; ++i) {
    if (from[i] != filler(one, i)) {
      return false;
    }
  }
  return true;
}

}  // namespace contrail::cli::store_bank::bytes
