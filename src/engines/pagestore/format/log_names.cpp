#include "engines/pagestore/format/log_names.hpp"

#include <algorithm>
#include <cassert>

namespace contrail::pagestore {
namespace {

constexpr std::string_view digits = "0123456789ABCDEF";
constexpr std::string_view suffix = ".log";
constexpr std::uint32_t first_of_eight_digits = 0x100000;

}  // namespace

std::string log_name(std::string_view base, std::uint32_t generation) {
  assert(generation >= 1 && generation <= last_generation);
  std::string name(base);
  for (int digit = generation < first_of_eight_digits ? 4 : 7; digit >= 0; --digit) {
    name.push_back(digits[(generation >> (4 * static_cast<unsigned>(digit))) & 0xfU]);
  }
  name.append(suffix);
  return name;
}

std::optional<std::uint32_t> generation_of(std::string_view base, std::string_view name) {
  if (name.size() < base.size() + suffix.size() || name.substr(0, base.size()) != base ||
      name.substr(name.size() - suffix.size()) != suffix) {
    return std::nullopt;
  }
  const std::string_view number = name.substr(base.size(), name.size() - base.size() - suffix.size());
  if (number.size() != 5 && number.size() != 8) {
    return std::nullopt;
  }
  std::uint32_t generation = 0;
  for (const char c : number) {
    const std::size_t value = digits.find(c);
    if (value == std::string_view::npos) {
      return std::nullopt;
    }
    generation = generation << 4U | static_cast<std::uint32_t>(value);
  }
  const bool eight = generation >= first_of_eight_digits;
  if (generation == 0 || generation > last_generation || eight != (number.size() == 8)) {
    return std::nullopt;
  }
  return generation;
}

bool is_base_name(std::string_view base) noexcept {
  return base.size() == 3 &&
         std::all_of(base.begin(), base.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::optional<std::string> base_of(std::string_view name) {
  const std::string_view base = name.substr(0, 3);
  if (!is_base_name(base)) {
    return std::nullopt;
  }
  const bool ours = name == current_log_name(base) || name == checkpoint_name(base) || generation_of(base, name).has_value();
  return ours ? std::optional<std::string>(base) : std::nullopt;
}

}  // namespace contrail::pagestore
