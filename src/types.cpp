#include <contrail/types.hpp>

#include <contrail/source.hpp>

#include <array>

namespace contrail {
namespace {

template <typename Enum, std::size_t N>
bool find(const std::array<std::string_view, N>& names, std::string_view text, Enum& out) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) {
      out = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

template <typename Enum, std::size_t N>
std::string_view name(const std::array<std::string_view, N>& names, Enum value) noexcept {
  const auto i = static_cast<std::size_t>(value);
  return i < N ? names[i] : std::string_view("unknown");
}

// In the order of the enumerators. The names are part of the format of sets.
constexpr std::array<std::string_view, 4> kind_names{"full", "copy", "incremental", "differential"};
constexpr std::array<std::string_view, 6> role_names{"database", "log", "control", "label", "directory", "link"};

}  // namespace

std::string_view to_string(kind k) noexcept { return name(kind_names, k); }
bool parse_kind(std::string_view text, kind& out) noexcept { return find(kind_names, text, out); }

std::string_view to_string(file_role role) noexcept { return name(role_names, role); }
bool parse_file_role(std::string_view text, file_role& out) noexcept { return find(role_names, text, out); }

}  // namespace contrail
