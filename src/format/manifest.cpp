#include <contrail/manifest.hpp>

#include <contrail/error.hpp>
#include "format/digest.hpp"
#include "format/json_text.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace contrail {

namespace {

using format::encode_text;
using format::json_in;
using format::json_out;

constexpr std::size_t most_bytes = std::size_t{1} << 20;
constexpr std::size_t digest_bytes = 41;

// Everything of the file that is not the manifest itself is fixed, so that each bit of it is checked.
constexpr std::string_view head = "{\"digest\":\"";
constexpr std::string_view middle = "\",\n\"manifest\":";
constexpr std::string_view tail = "}\n";

// Features that this reader understands. None yet; a set that lists any other must be refused.
constexpr std::array<std::string_view, 0> understood{};

std::string digest_of(std::string_view text) {
  digest d;
  d.update(asio::const_buffer(text.data(), text.size()));
  return d.text();
}

// For people; `created_unix_ns` is what is read. Any value has a time, also one that no clock shows.
std::string iso_time(std::int64_t unix_ns) {
  using namespace std::chrono;
  constexpr std::int64_t day_ns = std::int64_t{86400} * 1000000000;
  std::int64_t day = unix_ns / day_ns;
  std::int64_t rest = unix_ns % day_ns;
  if (rest < 0) {
    --day;
    rest += day_ns;
  }
  const year_month_day date{sys_days{days{static_cast<days::rep>(day)}}};
  const hh_mm_ss<nanoseconds> time{nanoseconds{rest}};
  std::array<char, 80> out{};
  const int n = std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09ldZ", static_cast<int>(date.year()),
                              static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                              static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                              static_cast<int>(time.seconds().count()), static_cast<long>(time.subseconds().count()));
  return std::string(out.data(), static_cast<std::size_t>(n));
}

json_out write_mark(const mark& m) {
  json_out out = json_out::object();
  out["position"] = m.position;
  out["unix_ns"] = m.unix_nanoseconds;
  return out;
}

mark read_mark(const json_in& in) {
  mark m;
  m.position = in.number("position");
  m.unix_nanoseconds = in.signed_number("unix_ns");
  return m;
}

bool is_digest(std::string_view text) noexcept {
  constexpr std::string_view name = "xxh3-128:";
  if (text.size() != digest_bytes || text.substr(0, name.size()) != name) return false;
  return text.find_first_not_of("0123456789abcdef", name.size()) == std::string_view::npos;
}

std::string write_mode(std::uint32_t mode) {
  std::array<char, 16> out{};
  const int n = std::snprintf(out.data(), out.size(), "%04o", mode & 07777u);
  return std::string(out.data(), static_cast<std::size_t>(n));
}

std::uint32_t read_mode(const json_in& in) {
  const std::string text = in.text("mode");
  if (text.size() != 4 || text.find_first_not_of("01234567") != std::string::npos) in.damaged("four octal digits in \"mode\"", text);
  std::uint32_t mode = 0;
  for (const char c : text) mode = mode << 3 | static_cast<std::uint32_t>(c - '0');
  return mode;
}

}  // namespace

std::string manifest::write() const {
  json_out m = json_out::object();
  m["schema"] = schema;
  m["must_understand"] = json_out::array();
  for (const std::string& feature : must_understand) m["must_understand"].push_back(encode_text(feature));
  m["set"] = encode_text(set);
  m["sequence"] = sequence;
  m["kind"] = std::string(to_string(what));
  m["parent"] = encode_text(parent);
  m["created"] = iso_time(created_unix_ns);
  m["created_unix_ns"] = created_unix_ns;
  m["mark"] = write_mark(at);
  m["parent_mark"] = write_mark(parent_mark);
  m["engine"] = encode_text(engine);
  m["engine_version"] = encode_text(engine_version);
  m["engine_state"] = encode_text(engine_state);
  m["signature"] = encode_text(signature);
  m["page_bytes"] = page_bytes;
  m["logs"] = json_out::object();
  m["logs"]["first"] = logs.first;
  m["logs"]["end"] = logs.end;
  m["databases"] = json_out::array();
  for (const manifest_database& d : databases) {
    json_out one = json_out::object();
    one["name"] = encode_text(d.name);
    one["restore_name"] = encode_text(d.restore_name);
    one["signature"] = encode_text(d.signature);
    one["pages"] = d.pages;
    one["page_bytes"] = d.page_bytes;
    m["databases"].push_back(std::move(one));
  }
  m["files"] = files;
  m["bytes"] = bytes;
  m["pages"] = pages;
  m["root_digest"] = encode_text(root_digest);
  const std::string inner = m.dump(2);
  std::string out;
  out += head;
  out += digest_of(inner);
  out += middle;
  out += inner;
  out += tail;
  if (out.size() > most_bytes) {
    fail(errc::invalid_parameter, "write manifest", set, {}, "at most " + std::to_string(most_bytes) + " bytes",
         std::to_string(out.size()));
  }
  return out;
}

manifest manifest::read(std::string_view text, std::string_view file) {
  const std::string operation = "read manifest";
  const auto damaged = [&](std::uint64_t offset, std::string expected, std::string found) {
    fail(errc::set_damaged, operation, std::string(file), offset, std::move(expected), std::move(found));
  };
  if (text.size() > most_bytes) damaged(most_bytes, "at most " + std::to_string(most_bytes) + " bytes", std::to_string(text.size()));
  const std::size_t inner_at = head.size() + digest_bytes + middle.size();
  if (text.size() < inner_at + tail.size()) damaged(text.size(), "a manifest", "a text that ends too soon");
  if (text.substr(0, head.size()) != head) damaged(0, std::string(head), "other bytes");
  const std::size_t middle_at = head.size() + digest_bytes;
  if (text.substr(middle_at, middle.size()) != middle) damaged(middle_at, "\"manifest\"", "other bytes");
  const std::size_t tail_at = text.size() - tail.size();
  if (text.substr(tail_at) != tail) damaged(tail_at, "the end of the manifest", "other bytes");
  const std::string_view inner = text.substr(inner_at, tail_at - inner_at);
  const std::string found = digest_of(inner);
  if (text.substr(head.size(), digest_bytes) != found) {
    fail(errc::set_damaged, operation, std::string(file), {}, "digest " + std::string(text.substr(head.size(), digest_bytes)), found);
  }

  const json_in in = json_in::parse(inner, operation, std::string(file));
  const std::uint64_t schema = in.number("schema", 1);
  if (schema > current_schema) {
    fail(errc::format_unknown, operation, std::string(file), {}, "schema " + std::to_string(current_schema) + " or older",
         "schema " + std::to_string(schema) + "; a newer version of the program wrote it");
  }
  manifest m;
  m.schema = static_cast<unsigned>(schema);
  in.each_text("must_understand", [&](std::string feature) {
    bool known = false;
    for (const std::string_view u : understood) known = known || u == feature;
    if (!known) {
      fail(errc::format_unknown, operation, std::string(file), {}, "features that this version knows",
           "\"" + feature + "\"; a newer version of the program wrote it");
    }
    m.must_understand.push_back(std::move(feature));
  });
  m.set = in.text("set");
  if (!is_set_id(m.set)) in.damaged("the id of a set", m.set);
  m.sequence = in.number("sequence", 1);
  const std::string kind_text = in.text("kind");
  if (!parse_kind(kind_text, m.what)) in.damaged("a kind of backup", kind_text);
  m.parent = in.text("parent");
  if (!m.parent.empty() && !is_set_id(m.parent)) in.damaged("the id of the parent set", m.parent);
  m.created_unix_ns = in.signed_number("created_unix_ns");
  m.at = read_mark(in.object("mark"));
  m.parent_mark = read_mark(in.object("parent_mark"));
  m.engine = in.text("engine");
  m.engine_version = in.text("engine_version");
  m.engine_state = in.text("engine_state");
  m.signature = in.text("signature");
  m.page_bytes = in.small_number("page_bytes");
  const json_in logs = in.object("logs");
  m.logs.first = logs.number("first");
  m.logs.end = logs.number("end");
  in.each_object("databases", [&](const json_in& one) {
    manifest_database d;
    d.name = one.text("name");
    d.restore_name = one.text("restore_name");
    if (!is_safe_name(d.restore_name)) {
      fail(errc::unsafe_path, operation, std::string(file), {}, "a name below the directory of the set", d.restore_name);
    }
    d.signature = one.text("signature");
    d.pages = one.number("pages");
    d.page_bytes = one.small_number("page_bytes");
    m.databases.push_back(std::move(d));
  });
  m.files = in.number("files");
  m.bytes = in.number("bytes");
  m.pages = in.number("pages");
  m.root_digest = in.text("root_digest");
  if (!is_digest(m.root_digest)) in.damaged("a digest in \"root_digest\"", m.root_digest);
  return m;
}

std::string manifest_file::write() const {
  json_out m = json_out::object();
  m["role"] = std::string(to_string(file.role));
  m["path"] = encode_text(file.name);
  m["size"] = bytes;
  if (valid != bytes) m["valid"] = valid;
  if (file.role == file_role::log) m["log"] = file.log;
  if (file.role == file_role::link) m["target"] = encode_text(file.target);
  if (file.mode != 0) m["mode"] = write_mode(file.mode);
  if (!file.owner.empty()) m["owner"] = encode_text(file.owner);
  if (file.unchanged) m["unchanged"] = true;
  m["digest"] = digest;
  return m.dump();
}

manifest_file manifest_file::read(std::string_view line, std::string_view where) {
  const json_in in = json_in::parse(line, "read list of files", std::string(where), 4, 256);
  manifest_file m;
  const std::string role = in.text("role");
  if (!parse_file_role(role, m.file.role)) in.damaged("the role of a file", role);
  m.file.name = in.text("path");
  if (!is_safe_name(m.file.name)) {
    fail(errc::unsafe_path, "read list of files", std::string(where), {}, "a name below the directory of the set", m.file.name);
  }
  m.bytes = in.number("size");
  m.file.bytes = m.bytes;
  m.valid = m.bytes;
  if (in.has("valid")) m.valid = in.number("valid");
  if (m.valid > m.bytes) in.damaged("\"valid\" of at most " + std::to_string(m.bytes), std::to_string(m.valid));
  if (in.has("log")) m.file.log = in.number("log");
  if (in.has("target")) m.file.target = in.text("target");
  if (in.has("mode")) m.file.mode = read_mode(in);
  if (in.has("owner")) m.file.owner = in.text("owner");
  if (in.has("unchanged")) m.file.unchanged = in.flag("unchanged");
  m.digest = in.text("digest");
  if (!is_digest(m.digest)) in.damaged("a digest in \"digest\"", m.digest);
  return m;
}

}  // namespace contrail
