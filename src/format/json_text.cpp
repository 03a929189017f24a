#include "format/json_text.hpp"

#include <contrail/error.hpp>

#include <array>
#include <limits>
#include <optional>

namespace contrail::format {

namespace {

// Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view s) noexcept {
  std::size_t i = 0;
  while (i < s.size()) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(s[k]); };
    const unsigned char c = byte(i);
    std::size_t more = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (c < 0x80) {
      ++i;
      continue;
    } else if (c >= 0xC2 && c <= 0xDF) {
      more = 1;
    } else if (c >= 0xE0 && c <= 0xEF) {
      more = 2;
      if (c == 0xE0) low = 0xA0;
      if (c == 0xED) high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
      more = 3;
      if (c == 0xF0) low = 0x90;
      if (c == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    if (s.size() - i <= more) return false;
    if (byte(i + 1) < low || byte(i + 1) > high) return false;
    for (std::size_t k = 2; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) word = word << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? alphabet[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t word = 0;
    std::size_t padding = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      const std::size_t value = alphabet.find(c);
      if (c == '=' && i + 4 == text.size() && k >= 2) {
        ++padding;
        word <<= 6;
      } else if (value != std::string_view::npos && padding == 0) {
        word = word << 6 | static_cast<std::uint32_t>(value);
      } else {
        return std::nullopt;
      }
    }
    for (std::size_t k = 0; k < 3 - padding; ++k) out += static_cast<char>(word >> (16 - 8 * k) & 0xFF);
  }
  return out;
}

struct too_much {};

}  // namespace

json_out encode_text(std::string_view bytes) {
  if (is_utf8(bytes)) return json_out(std::string(bytes));
  json_out out = json_out::object();
  out["base64"] = to_base64(bytes);
  return out;
}

json_in::json_in(nlohmann::json value, std::string operation, std::string file)
    : value_(std::move(value)), operation_(std::move(operation)), file_(std::move(file)) {
  if (!value_.is_object()) damaged("a JSON object", value_.type_name());
}

json_in json_in::parse(std::string_view text, std::string operation, std::string file, std::size_t depth, std::size_t values) {
  nlohmann::json value;
  std::string why;
  try {
    std::size_t seen = 0;
    const auto bound = [&](int level, nlohmann::json::parse_event_t, nlohmann::json&) {
      if (static_cast<std::size_t>(level) > depth || ++seen > values) throw too_much();
      return true;
    };
    value = nlohmann::json::parse(text.begin(), text.end(), bound);
  } catch (const nlohmann::json::exception& e) {
    why = e.what();
  } catch (const too_much&) {
    why = "deeper or longer than any of our texts";
  }
  if (!why.empty()) fail(errc::set_damaged, std::move(operation), std::move(file), {}, "JSON", std::move(why));
  return json_in(std::move(value), std::move(operation), std::move(file));
}

void json_in::damaged(std::string_view expected, std::string_view found) const {
  fail(errc::set_damaged, operation_, file_, {}, std::string(expected), std::string(found));
}

const nlohmann::json& json_in::field(const char* key) const {
  const auto at = value_.find(key);
  if (at == value_.end()) damaged("the field \"" + std::string(key) + "\"", "nothing");
  return *at;
}

bool json_in::has(const char* key) const { return value_.contains(key); }

std::uint64_t json_in::number(const char* key, std::uint64_t least) const {
  const nlohmann::json& v = field(key);
  if (!v.is_number_unsigned()) damaged("an unsigned integer in \"" + std::string(key) + "\"", v.type_name());
  const auto value = v.get<std::uint64_t>();
  if (value < least) damaged("\"" + std::string(key) + "\" of at least " + std::to_string(least), std::to_string(value));
  return value;
}

std::int64_t json_in::signed_number(const char* key) const {
  const nlohmann::json& v = field(key);
  const bool fits = v.is_number_integer() &&
                    (!v.is_number_unsigned() ||
                     v.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!fits) damaged("an integer of 64 bits in \"" + std::string(key) + "\"", v.type_name());
  return v.get<std::int64_t>();
}

std::uint32_t json_in::small_number(const char* key) const {
  const std::uint64_t value = number(key);
  if (value > std::numeric_limits<std::uint32_t>::max()) damaged("\"" + std::string(key) + "\" of 32 bits", std::to_string(value));
  return static_cast<std::uint32_t>(value);
}

bool json_in::flag(const char* key) const {
  const nlohmann::json& v = field(key);
  if (!v.is_boolean()) damaged("true or false in \"" + std::string(key) + "\"", v.type_name());
  return v.get<bool>();
}

std::string json_in::decode(const nlohmann::json& value, const char* key) const {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (value.is_object() && value.size() == 1 && value.contains("base64") && value["base64"].is_string()) {
    std::optional<std::string> bytes = from_base64(value["base64"].get_ref<const std::string&>());
    if (bytes.has_value()) return std::move(*bytes);
  }
  damaged("text or {\"base64\": ...} in \"" + std::string(key) + "\"", value.type_name());
}

std::string json_in::text(const char* key) const { return decode(field(key), key); }

json_in json_in::object(const char* key) const { return json_in(field(key), operation_, file_); }

const nlohmann::json& json_in::array(const char* key) const {
  const nlohmann::json& v = field(key);
  if (!v.is_array()) damaged("an array in \"" + std::string(key) + "\"", v.type_name());
  return v;
}

}  // namespace contrail::format
