#include "common/windows_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace contrail::io::detail {

namespace {

constexpr std::size_t longest_units = 255;
constexpr char32_t no_character = 0xFFFFFFFF;

// The character that begins `text`, and how many bytes it takes. Exactly what Unicode allows: no overlong forms, no surrogates.
char32_t first_character(std::string_view text, std::size_t& bytes) noexcept {
  const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = at(0);
  bytes = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) {
    bytes = 1;
    return no_character;
  }
  if (bytes == 1) return lead;
  char32_t out = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xC0u) != 0x80u) {
      bytes = 1;
      return no_character;
    }
    out = out << 6 | (at(i) & 0x3Fu);
  }
  const bool overlong = (bytes == 3 && out < 0x800) || (bytes == 4 && out < 0x10000);
  if (overlong || (out >= 0xD800 && out < 0xE000) || out > 0x10FFFF) {
    bytes = 1;
    return no_character;
  }
  return out;
}

void append(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else {   // nothing above 0xFFFF is folded
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

// Small letters in [first, last], every `step`th, whose capitals are `distance` away: Unicode's mappings of one character of 16 bits to
// another and back, and the final sigma. What has no way back (a dotless i, a long s) is a letter of its own, as to Windows.
struct letters {
  std::uint16_t first, last;
  std::uint8_t step;
  std::int32_t distance;
};
constexpr letters small_letters[] = {
    {0x00e0, 0x00f6, 1, -32}, {0x00f8, 0x00fe, 1, -32}, {0x00ff, 0x00ff, 1, 121}, {0x0101, 0x012f, 2, -1},
    {0x0133, 0x0137, 2, -1}, {0x013a, 0x0148, 2, -1}, {0x014b, 0x0177, 2, -1}, {0x017a, 0x017e, 2, -1},
    {0x0180, 0x0180, 1, 195}, {0x0183, 0x0185, 2, -1}, {0x0188, 0x0188, 1, -1}, {0x018c, 0x018c, 1, -1},
    {0x0192, 0x0192, 1, -1}, {0x0195, 0x0195, 1, 97}, {0x0199, 0x0199, 1, -1}, {0x019a, 0x019a, 1, 163},
    {0x019e, 0x019e, 1, 130}, {0x01a1, 0x01a5, 2, -1}, {0x01a8, 0x01a8, 1, -1}, {0x01ad, 0x01ad, 1, -1},
    {0x01b0, 0x01b0, 1, -1}, {0x01b4, 0x01b6, 2, -1}, {0x01b9, 0x01b9, 1, -1}, {0x01bd, 0x01bd, 1, -1}, {0x01bf, 0x01bf, 1, 56},
    {0x01c6, 0x01c6, 1, -2}, {0x01c9, 0x01c9, 1, -2}, {0x01cc, 0x01cc, 1, -2}, {0x01ce, 0x01dc, 2, -1},
    {0x01dd, 0x01dd, 1, -79}, {0x01df, 0x01ef, 2, -1}, {0x01f3, 0x01f3, 1, -2}, {0x01f5, 0x01f5, 1, -1},
    {0x01f9, 0x021f, 2, -1}, {0x0223, 0x0233, 2, -1}, {0x023c, 0x023c, 1, -1}, {0x023f, 0x0240, 1, 10815},
    {0x0242, 0x0242, 1, -1}, {0x0247, 0x024f, 2, -1}, {0x0250, 0x0250, 1, 10783}, {0x0251, 0x0251, 1, 10780},
    {0x0252, 0x0252, 1, 10782}, {0x0253, 0x0253, 1, -210}, {0x0254, 0x0254, 1, -206}, {0x0256, 0x0257, 1, -205},
    {0x0259, 0x0259, 1, -202}, {0x025b, 0x025b, 1, -203}, {0x025c, 0x025c, 1, 42319}, {0x0260, 0x0260, 1, -205},
    {0x0261, 0x0261, 1, 42315}, {0x0263, 0x0263, 1, -207}, {0x0265, 0x0265, 1, 42280}, {0x0266, 0x0266, 1, 42308},
    {0x0268, 0x0268, 1, -209}, {0x0269, 0x0269, 1, -211}, {0x026a, 0x026a, 1, 42308}, {0x026b, 0x026b, 1, 10743},
    {0x026c, 0x026c, 1, 42305}, {0x026f, 0x026f, 1, -211}, {0x0271, 0x0271, 1, 10749}, {0x0272, 0x0272, 1, -213},
    {0x0275, 0x0275, 1, -214}, {0x027d, 0x027d, 1, 10727}, {0x0280, 0x0280, 1, -218}, {0x0282, 0x0282, 1, 42307},
    {0x0283, 0x0283, 1, -218}, {0x0287, 0x0287, 1, 42282}, {0x0288, 0x0288, 1, -218}, {0x0289, 0x0289, 1, -69},
    {0x028a, 0x028b, 1, -217}, {0x028c, 0x028c, 1, -71}, {0x0292, 0x0292, 1, -219}, {0x029d, 0x029d, 1, 42261},
    {0x029e, 0x029e, 1, 42258}, {0x0371, 0x0373, 2, -1}, {0x0377, 0x0377, 1, -1}, {0x037b, 0x037d, 1, 130},
    {0x03ac, 0x03ac, 1, -38}, {0x03ad, 0x03af, 1, -37}, {0x03b1, 0x03c1, 1, -32}, {0x03c2, 0x03c2, 1, -31},
    {0x03c3, 0x03cb, 1, -32}, {0x03cc, 0x03cc, 1, -64}, {0x03cd, 0x03ce, 1, -63}, {0x03d7, 0x03d7, 1, -8},
    {0x03d9, 0x03ef, 2, -1}, {0x03f2, 0x03f2, 1, 7}, {0x03f3, 0x03f3, 1, -116}, {0x03f8, 0x03f8, 1, -1},
    {0x03fb, 0x03fb, 1, -1}, {0x0430, 0x044f, 1, -32}, {0x0450, 0x045f, 1, -80}, {0x0461, 0x0481, 2, -1},
    {0x048b, 0x04bf, 2, -1}, {0x04c2, 0x04ce, 2, -1}, {0x04cf, 0x04cf, 1, -15}, {0x04d1, 0x052f, 2, -1},
    {0x0561, 0x0586, 1, -48}, {0x10d0, 0x10fa, 1, 3008}, {0x10fd, 0x10ff, 1, 3008}, {0x13f8, 0x13fd, 1, -8},
    {0x1d79, 0x1d79, 1, 35332}, {0x1d7d, 0x1d7d, 1, 3814}, {0x1d8e, 0x1d8e, 1, 35384}, {0x1e01, 0x1e95, 2, -1},
    {0x1ea1, 0x1eff, 2, -1}, {0x1f00, 0x1f07, 1, 8}, {0x1f10, 0x1f15, 1, 8}, {0x1f20, 0x1f27, 1, 8}, {0x1f30, 0x1f37, 1, 8},
    {0x1f40, 0x1f45, 1, 8}, {0x1f51, 0x1f57, 2, 8}, {0x1f60, 0x1f67, 1, 8}, {0x1f70, 0x1f71, 1, 74}, {0x1f72, 0x1f75, 1, 86},
    {0x1f76, 0x1f77, 1, 100}, {0x1f78, 0x1f79, 1, 128}, {0x1f7a, 0x1f7b, 1, 112}, {0x1f7c, 0x1f7d, 1, 126},
    {0x1fb0, 0x1fb1, 1, 8}, {0x1fd0, 0x1fd1, 1, 8}, {0x1fe0, 0x1fe1, 1, 8}, {0x1fe5, 0x1fe5, 1, 7}, {0x214e, 0x214e, 1, -28},
    {0x2170, 0x217f, 1, -16}, {0x2184, 0x2184, 1, -1}, {0x24d0, 0x24e9, 1, -26}, {0x2c30, 0x2c5f, 1, -48},
    {0x2c61, 0x2c61, 1, -1}, {0x2c65, 0x2c65, 1, -10795}, {0x2c66, 0x2c66, 1, -10792}, {0x2c68, 0x2c6c, 2, -1},
    {0x2c73, 0x2c73, 1, -1}, {0x2c76, 0x2c76, 1, -1}, {0x2c81, 0x2ce3, 2, -1}, {0x2cec, 0x2cee, 2, -1}, {0x2cf3, 0x2cf3, 1, -1},
    {0x2d00, 0x2d25, 1, -7264}, {0x2d27, 0x2d27, 1, -7264}, {0x2d2d, 0x2d2d, 1, -7264}, {0xa641, 0xa66d, 2, -1},
    {0xa681, 0xa69b, 2, -1}, {0xa723, 0xa72f, 2, -1}, {0xa733, 0xa76f, 2, -1}, {0xa77a, 0xa77c, 2, -1}, {0xa77f, 0xa787, 2, -1},
    {0xa78c, 0xa78c, 1, -1}, {0xa791, 0xa793, 2, -1}, {0xa794, 0xa794, 1, 48}, {0xa797, 0xa7a9, 2, -1}, {0xa7b5, 0xa7c3, 2, -1},
    {0xa7c8, 0xa7ca, 2, -1}, {0xa7d1, 0xa7d1, 1, -1}, {0xa7d7, 0xa7d9, 2, -1}, {0xa7f6, 0xa7f6, 1, -1},
    {0xab53, 0xab53, 1, -928}, {0xab70, 0xabbf, 1, -38864}, {0xff41, 0xff5a, 1, -32},
};

char32_t capital(char32_t c) noexcept {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 0x20 : c;
  if (c > 0xFFFF) return c;
  const auto* const row = std::lower_bound(std::begin(small_letters), std::end(small_letters), c,
                                           [](const letters& l, char32_t value) { return l.last < value; });
  if (row == std::end(small_letters) || c < row->first || (c - row->first) % row->step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + row->distance);
}

char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c; }

bool same(std::string_view name, std::string_view capitals) noexcept {
  return std::equal(name.begin(), name.end(), capitals.begin(), capitals.end(), [](char a, char b) { return upper(a) == b; });
}

// The part before the first dot decides: NUL.tar.gz is the device as well, and so is "NUL .txt".
bool is_device(std::string_view name) noexcept {
  name = name.substr(0, name.find('.'));
  while (name.ends_with(' ')) name.remove_suffix(1);
  constexpr std::array<std::string_view, 6> devices{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
  if (std::any_of(devices.begin(), devices.end(), [name](std::string_view device) { return same(name, device); })) return true;
  if (name.size() < 4 || (!same(name.substr(0, 3), "COM") && !same(name.substr(0, 3), "LPT"))) return false;
  const std::string_view number = name.substr(3);
  if (number.size() == 1) return number[0] >= '0' && number[0] <= '9';
  return number == "\xC2\xB9" || number == "\xC2\xB2" || number == "\xC2\xB3";   // superscript 1, 2, 3
}

}  // namespace

std::string_view why_not_a_windows_name(std::string_view component) noexcept {
  constexpr std::string_view refused = "<>:\"/\\|?*";
  if (component.empty()) return "an empty name";
  if (component == "." || component == "..") return "a name that means a directory";
  std::size_t units = 0;
  for (std::string_view rest = component; !rest.empty();) {
    std::size_t bytes = 0;
    const char32_t c = first_character(rest, bytes);
    if (c == no_character) return "a name that is no UTF-8";
    if (c < 0x20) return "a name with a control character";
    if (c < 0x80 && refused.find(static_cast<char>(c)) != std::string_view::npos) return "a name with one of < > : \" / \\ | ? *";
    units += c > 0xFFFF ? 2 : 1;
    rest.remove_prefix(bytes);
  }
  if (component.ends_with('.') || component.ends_with(' ')) return "a name that ends with a dot or a space";
  if (is_device(component)) return "the name of a device";
  if (units > longest_units) return "a name of more than 255 characters";
  return {};
}

std::string windows_fold(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) {
    std::size_t bytes = 0;
    const char32_t c = first_character(path, bytes);
    const char32_t folded = c == no_character ? c : capital(c);
    if (folded == c) {
      out.append(path.substr(0, bytes));
    } else {
      append(out, folded);
    }
    path.remove_prefix(bytes);
  }
  return out;
}

}  // namespace contrail::io::detail
