#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

/// A small generator of its own, so that a failing seed means the same everywhere.
class repo_random {
 public:
  explicit repo_random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  std::size_t below(std::size_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return n == 0 ? 0 : static_cast<std::size_t>(state_ % n);
  }

 private:
  std::uint64_t state_;
};

/// One to four changes: flipped bits, other bytes, cuts, repetitions, things that parsers trip over.
inline std::string repo_mutate(std::string text, repo_random& random) {
  static const char* const traps[] = {"[[[[[[[[[[[[[[[[[[[[[[[[",  "{\"a\":{\"a\":{\"a\":{\"a\":", "18446744073709551616", "-1", "1e400", "0.5",
                                      "null",  "\"\\ud800\"", "\"\\u0000\"", "\xff\xfe", "\xed\xa0\x80", "..", "/", "\\", "{\"base64\":\"=\"}",
                                      "true", "\"\"", "[]", "{}", ",", ":", "\n"};
  const std::size_t changes = 1 + random.below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const std::size_t at = random.below(text.size() + 1);
    switch (random.below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(random.below(256));
        break;
      case 2: text.erase(at, random.below(32)); break;
      case 3: text.insert(at, text.substr(random.below(text.size() + 1), random.below(64))); break;
      case 4: text.insert(at, traps[random.below(sizeof traps / sizeof traps[0])]); break;
      default: text.resize(at); break;
    }
  }
  return text;
}
