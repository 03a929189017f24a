#include "engine_state.hpp"

#include "format/json_text.hpp"

#include <contrail/error.hpp>
#include <contrail/manifest.hpp>

#include <nlohmann/json.hpp>

#include <limits>

namespace contrail::sqlite {

namespace {

constexpr unsigned state_version = 1;

std::uint32_t word(const nlohmann::json& value) {
  const auto wide = value.get<std::uint64_t>();
  if (!value.is_number_unsigned() || wide > std::numeric_limits<std::uint32_t>::max()) {
    fail(errc::set_damaged, "read the engine's state of the set", {}, {}, "numbers of 32 bits", value.dump());
  }
  return static_cast<std::uint32_t>(wide);
}

}  // namespace

std::string engine_state::write() const {
  nlohmann::ordered_json out;
  out["version"] = state_version;
  // Names of files need not be text.
  out["database"] = format::encode_text(database);
  out["log"] = format::encode_text(log);
  out["page_bytes"] = page_bytes;
  out["file_pages"] = file_pages;
  out["pages"] = pages;
  out["frames"] = frames;
  out["salts"] = {salt1, salt2};
  out["checksum"] = {sums.first, sums.second};
  return out.dump();
}

engine_state engine_state::read(std::string_view text) {
  engine_state out;
  try {
    const auto in = nlohmann::json::parse(text);
    const auto version = in.at("version").get<std::uint64_t>();
    if (version != state_version) {
      fail(errc::format_unknown, "read the engine's state of the set", {}, {}, "version " + std::to_string(state_version),
           std::to_string(version) + "; a newer contrail can read it");
    }
    const auto names = format::json_in::parse(text, "read the engine's state of the set", {});
    out.database = names.text("database");
    out.log = names.text("log");
    out.page_bytes = word(in.at("page_bytes"));
    out.file_pages = word(in.at("file_pages"));
    out.pages = word(in.at("pages"));
    out.frames = word(in.at("frames"));
    out.salt1 = word(in.at("salts").at(0));
    out.salt2 = word(in.at("salts").at(1));
    out.sums.first = word(in.at("checksum").at(0));
    out.sums.second = word(in.at("checksum").at(1));
  } catch (const nlohmann::json::exception& problem) {
    fail(errc::set_damaged, "read the engine's state of the set", {}, {}, "the state of a SQLite set", problem.what());
  }
  const bool names = is_safe_name(out.database) && (out.log.empty() || is_safe_name(out.log)) && out.log != out.database;
  const bool counts = is_page_size(out.page_bytes) && out.pages > 0 && (out.frames == 0 || !out.log.empty());
  if (!names || !counts) {
    fail(errc::set_damaged, "read the engine's state of the set", {}, {}, "the state of a SQLite set", std::string(text));
  }
  return out;
}

}  // namespace contrail::sqlite
