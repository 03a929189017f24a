#include "engines/pagestore/backup/set_state.hpp"

#include "engines/pagestore/format/log_names.hpp"
#include "engines/pagestore/format/page.hpp"
#include "format/json_text.hpp"

#include <contrail/error.hpp>
#include <contrail/manifest.hpp>

#include <nlohmann/json.hpp>

#include <utility>

namespace contrail::pagestore {

namespace {

constexpr unsigned state_version = 1;
constexpr const char* operation = "read the engine's state of the set";

bool sensible(const set_state& s) {
  bool good = is_base_name(s.base_name) && is_page_size(s.page_size) && is_log_file_size(s.log_file_size, s.page_size);
  good = good && s.low >= 1 && s.low <= s.high && s.high <= last_generation && s.databases.size() <= most_databases;
  for (const set_state::member& m : s.databases) good = good && is_safe_name(m.name) && m.pages != 0 && m.path.size() <= longest_database_path;
  return good;
}

}  // namespace

std::string set_state::write() const {
  format::json_out out;
  out["version"] = state_version;
  out["base_name"] = base_name;
  out["page_size"] = page_size;
  out["log_file_size"] = log_file_size;
  out["log_random"] = log.random;
  out["log_created"] = log.created;
  out["mark"] = mark;
  out["first_generation"] = low;
  out["last_generation"] = high;
  format::json_out list = format::json_out::array();
  for (const member& m : databases) {
    format::json_out one;
    one["name"] = format::encode_text(m.name);   // names of files need not be text
    one["path"] = format::encode_text(m.path);
    one["random"] = m.database.random;
    one["created"] = m.database.created;
    one["pages"] = m.pages;
    list.push_back(std::move(one));
  }
  out["databases"] = std::move(list);
  return out.dump();
}

set_state set_state::read(std::string_view text) {
  const format::json_in in = format::json_in::parse(text, operation, {});
  const std::uint64_t version = in.number("version");
  if (version != state_version) {
    fail(errc::format_unknown, operation, {}, {}, "version " + std::to_string(state_version),
         std::to_string(version) + "; a newer contrail can read it");
  }
  set_state out;
  out.base_name = in.text("base_name");
  out.page_size = in.small_number("page_size");
  out.log_file_size = in.number("log_file_size");
  out.log.random = in.number("log_random");
  out.log.created = in.number("log_created");
  out.mark = in.number("mark");
  out.low = in.small_number("first_generation");
  out.high = in.small_number("last_generation");
  in.each_object("databases", [&out](const format::json_in& one) {
    member m;
    m.name = one.text("name");
    m.path = one.text("path");
    m.database.random = one.number("random");
    m.database.created = one.number("created");
    m.pages = one.small_number("pages");
    out.databases.push_back(std::move(m));
  });
  if (!sensible(out)) fail(errc::set_damaged, operation, {}, {}, "the state of a pagestore set", std::string(text));
  return out;
}

}  // namespace contrail::pagestore
