#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace contrail::format {

/// JSON with its keys in the order of writing.
using json_out = nlohmann::ordered_json;

/// Bytes as a JSON value: a string where they are UTF-8, else {"base64": "..."}. Names of files and an engine's state need not be text.
json_out encode_text(std::string_view bytes);

/// A parsed JSON object and what an error about it has to say. Every accessor fails with `errc::set_damaged`; no other exception leaves.
class json_in {
 public:
  /// Bounded: at most `depth` levels and `values` values, so that a hostile text can neither exhaust the stack nor the memory.
  static json_in parse(std::string_view text, std::string operation, std::string file, std::size_t depth = 8, std::size_t values = 65536);

  bool has(const char* key) const;
  /// An unsigned integer of 64 bits, `least` at least.
  std::uint64_t number(const char* key, std::uint64_t least = 0) const;
  std::int64_t signed_number(const char* key) const;
  std::uint32_t small_number(const char* key) const;
  bool flag(const char* key) const;
  /// As `encode_text` made it.
  std::string text(const char* key) const;
  json_in object(const char* key) const;
  template <typename F>
  void each_object(const char* key, F&& f) const {
    for (const nlohmann::json& item : array(key)) f(json_in(item, operation_, file_));
  }
  /// An array of plain strings.
  template <typename F>
  void each_text(const char* key, F&& f) const {
    for (const nlohmann::json& item : array(key)) f(decode(item, key));
  }
  [[noreturn]] void damaged(std::string_view expected, std::string_view found) const;

 private:
  json_in(nlohmann::json value, std::string operation, std::string file);
  const nlohmann::json& field(const char* key) const;
  const nlohmann::json& array(const char* key) const;
  std::string decode(const nlohmann::json& value, const char* key) const;

  nlohmann::json value_;
  std::string operation_;
  std::string file_;
};

}  // namespace contrail::format
