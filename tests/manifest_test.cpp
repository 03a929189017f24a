#include <contrail/manifest.hpp>

#include <contrail/error.hpp>
#include "support/repo_mutation.hpp"
#include "support/repo_sign.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <limits>
#include <string>

using contrail::errc;
using contrail::error;
using contrail::manifest;
using contrail::manifest_file;

namespace {

const std::string opaque("\x00\xff\x80 state\n\"{", 11);

manifest sample() {
  manifest m;
  m.set = "20261123T101500Z-1f2e3d4c";
  m.sequence = 7;
  m.what = contrail::kind::full;
  m.at.position = std::numeric_limits<std::uint64_t>::max();
  m.at.unix_nanoseconds = -5;
  m.created_unix_ns = 1795428900123456789;
  m.engine = "sqlite";
  m.engine_version = "3.40.1";
  m.engine_state = opaque;
  m.signature = "caf\xc3\xa9";
  m.page_bytes = 4096;
  m.logs.first = 3;
  m.logs.end = 5;
  contrail::manifest_database d;
  d.name = std::string("/srv/b\xe4nk.db");   // Latin-1, as file systems allow
  d.restore_name = "bank.db";
  d.signature = "s";
  d.pages = 9;
  d.page_bytes = 4096;
  m.databases.push_back(d);
  m.files = 2;
  m.bytes = 1234567890123;
  m.pages = 9;
  m.root_digest = repo_digest("lines");
  return m;
}

manifest_file sample_file() {
  manifest_file f;
  f.file.name = "dir/app.db-wal";
  f.file.role = contrail::file_role::log;
  f.file.log = 12;
  f.file.mode = 0640;
  f.file.owner = "1000:100";
  f.bytes = 4152;
  f.valid = 4100;
  f.digest = repo_digest("x");
  return f;
}

std::error_code code_of(const std::string& text) {
  try {
    const manifest m = manifest::read(text, "manifest.json");
    return {};
  } catch (const error& e) {
    return e.code();
  }
}

std::error_code code_of_line(const std::string& text) {
  try {
    const manifest_file m = manifest_file::read(text, "files.jsonl");
    return {};
  } catch (const error& e) {
    return e.code();
  }
}

// The sample with one field set to something else, its digest right.
std::string with(const char* key, const nlohmann::ordered_json& value) {
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(repo_inner(sample().write()));
  j[key] = value;
  return repo_sign(j.dump());
}

std::string line_with(const char* key, const nlohmann::ordered_json& value) {
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(sample_file().write());
  j[key] = value;
  return j.dump();
}

}  // namespace

TEST_CASE("manifest: what is written is read", "[manifest]") {
  const manifest m = sample();
  const manifest r = manifest::read(m.write(), "manifest.json");
  CHECK(r.schema == 1);
  CHECK(r.set == m.set);
  CHECK(r.sequence == 7);
  CHECK(r.what == m.what);
  CHECK(r.parent.empty());
  CHECK(r.at == m.at);
  CHECK(r.parent_mark == m.parent_mark);
  CHECK(r.created_unix_ns == m.created_unix_ns);
  CHECK(r.engine == m.engine);
  CHECK(r.engine_version == m.engine_version);
  CHECK(r.engine_state == opaque);
  CHECK(r.signature == m.signature);
  CHECK(r.page_bytes == 4096);
  CHECK(r.logs == m.logs);
  REQUIRE(r.databases.size() == 1);
  CHECK(r.databases[0].name == m.databases[0].name);
  CHECK(r.databases[0].restore_name == "bank.db");
  CHECK(r.databases[0].pages == 9);
  CHECK(r.databases[0].page_bytes == 4096);
  CHECK(r.files == 2);
  CHECK(r.bytes == 1234567890123);
  CHECK(r.pages == 9);
  CHECK(r.root_digest == m.root_digest);
  CHECK(r.must_understand.empty());
  CHECK(r.write() == m.write());
  CHECK(m.write().find("\"created\": \"2026-11-23T10:15:00.123456789Z\"") != std::string::npos);
}

TEST_CASE("manifest: any bytes of an engine's state survive", "[manifest]") {
  for (std::size_t n = 0; n < 40; ++n) {
    manifest m = sample();
    m.engine_state.clear();
    for (std::size_t i = 0; i < n; ++i) m.engine_state += static_cast<char>(200 + 37 * i);
    CHECK(manifest::read(m.write(), "m").engine_state == m.engine_state);
  }
}

TEST_CASE("manifest: one flipped bit anywhere is found", "[manifest]") {
  const std::string text = sample().write();
  std::size_t missed = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = text;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      if (code_of(bad) != errc::set_damaged) ++missed;
    }
  }
  CHECK(missed == 0);
}

TEST_CASE("manifest: every cut and everything behind the end is found", "[manifest]") {
  const std::string text = sample().write();
  std::size_t missed = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (code_of(text.substr(0, i)) != errc::set_damaged) ++missed;
  }
  CHECK(missed == 0);
  CHECK(code_of(text) == std::error_code());
  CHECK(code_of(text + "\n") == errc::set_damaged);
  CHECK(code_of(text + text) == errc::set_damaged);
  CHECK(code_of(" " + text) == errc::set_damaged);
  CHECK(code_of("\xef\xbb\xbf" + text) == errc::set_damaged);
  CHECK(code_of(std::string(2 << 20, '{')) == errc::set_damaged);
}

TEST_CASE("manifest: the version is believed after the digest only", "[manifest]") {
  CHECK(code_of(with("schema", 2)) == errc::format_unknown);
  CHECK(code_of(with("schema", std::numeric_limits<std::uint64_t>::max())) == errc::format_unknown);
  std::string unsigned_text = sample().write();
  const std::size_t at = unsigned_text.find("\"schema\": 1");
  REQUIRE(at != std::string::npos);
  unsigned_text[at + 10] = '2';
  CHECK(code_of(unsigned_text) == errc::set_damaged);
  CHECK(code_of(with("must_understand", {"compression"})) == errc::format_unknown);
  // A newer schema may say anything else differently.
  CHECK(code_of(repo_sign("{\"schema\":2}")) == errc::format_unknown);
}

TEST_CASE("manifest: what nobody knows and nobody must know is skipped", "[manifest]") {
  CHECK(code_of(with("later", {{"a", 1}})) == std::error_code());
}

TEST_CASE("manifest: nonsense with a right digest is refused", "[manifest]") {
  CHECK(code_of(with("schema", 0)) == errc::set_damaged);
  CHECK(code_of(with("schema", -1)) == errc::set_damaged);
  CHECK(code_of(with("schema", "1")) == errc::set_damaged);
  CHECK(code_of(with("set", "x")) == errc::set_damaged);
  CHECK(code_of(with("sequence", 0)) == errc::set_damaged);
  CHECK(code_of(with("sequence", 1.5)) == errc::set_damaged);
  CHECK(code_of(with("kind", "whole")) == errc::set_damaged);
  CHECK(code_of(with("parent", "../x")) == errc::set_damaged);
  CHECK(code_of(with("files", nullptr)) == errc::set_damaged);
  CHECK(code_of(with("page_bytes", 4294967296)) == errc::set_damaged);
  CHECK(code_of(with("engine_state", {{"base64", "!!!!"}})) == errc::set_damaged);
  CHECK(code_of(with("engine_state", {{"base64", "AA=A"}})) == errc::set_damaged);
  CHECK(code_of(with("engine_state", {{"base64", "AAA"}})) == errc::set_damaged);
  CHECK(code_of(with("engine_state", 7)) == errc::set_damaged);
  CHECK(code_of(with("root_digest", "xxh3-128:XX")) == errc::set_damaged);
  CHECK(code_of(with("databases", {1})) == errc::set_damaged);
  CHECK(code_of(with("created_unix_ns", std::numeric_limits<std::uint64_t>::max())) == errc::set_damaged);
  CHECK(code_of(repo_sign("")) == errc::set_damaged);
  CHECK(code_of(repo_sign("[]")) == errc::set_damaged);
  CHECK(code_of(repo_sign("{}")) == errc::set_damaged);
  CHECK(code_of(repo_sign("{\"schema\":1e400}")) == errc::set_damaged);
  CHECK(code_of(repo_sign("{\"schema\":1} x")) == errc::set_damaged);
  CHECK(code_of(repo_sign(std::string(500000, '['))) == errc::set_damaged);
  std::string many = "{\"schema\":[0";
  while (many.size() < 900000) many += ",0";
  CHECK(code_of(repo_sign(many + "]}")) == errc::set_damaged);
}

TEST_CASE("manifest: a database's name may not lead out of the set", "[manifest]") {
  manifest m = sample();
  for (const char* name : {"../x", "/x", "a/../../x", "a\\b", "c:x", "."}) {
    m.databases[0].restore_name = name;
    CHECK(code_of(m.write()) == errc::unsafe_path);
  }
}

TEST_CASE("manifest: one too long to be read is not written", "[manifest]") {
  manifest m = sample();
  m.engine_state.assign(2 << 20, 'x');
  CHECK_THROWS_AS(m.write(), error);
}

TEST_CASE("manifest: a line of the list is read as it was written", "[manifest]") {
  const manifest_file f = sample_file();
  const std::string line = f.write();
  CHECK(line.find('\n') == std::string::npos);
  const manifest_file r = manifest_file::read(line, "files.jsonl");
  CHECK(r.file.name == f.file.name);
  CHECK(r.file.role == f.file.role);
  CHECK(r.file.log == 12);
  CHECK(r.file.mode == 0640);
  CHECK(r.file.owner == "1000:100");
  CHECK(r.bytes == 4152);
  CHECK(r.file.bytes == 4152);
  CHECK(r.valid == 4100);
  CHECK(r.digest == f.digest);
  CHECK_FALSE(r.file.unchanged);

  manifest_file odd = f;
  odd.file.name = "new\nline \xff\xfe \"quoted\"";
  odd.valid = odd.bytes;
  CHECK(odd.write().find('\n') == std::string::npos);
  CHECK(odd.write().find("valid") == std::string::npos);
  CHECK(manifest_file::read(odd.write(), "f").file.name == odd.file.name);
}

TEST_CASE("manifest: a bad line is refused", "[manifest]") {
  CHECK(code_of_line("") == errc::set_damaged);
  CHECK(code_of_line("[]") == errc::set_damaged);
  CHECK(code_of_line(line_with("role", "boot")) == errc::set_damaged);
  CHECK(code_of_line(line_with("size", -1)) == errc::set_damaged);
  CHECK(code_of_line(line_with("valid", 4153)) == errc::set_damaged);
  CHECK(code_of_line(line_with("mode", "9999")) == errc::set_damaged);
  CHECK(code_of_line(line_with("mode", 420)) == errc::set_damaged);
  CHECK(code_of_line(line_with("digest", "")) == errc::set_damaged);
  CHECK(code_of_line(line_with("unchanged", 1)) == errc::set_damaged);
  for (const char* name : {"", ".", "..", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a/./b", "a\\b", "C:\\x", "c:", "z:y"}) {
    CAPTURE(name);
    CHECK(code_of_line(line_with("path", name)) == errc::unsafe_path);
  }
  CHECK(code_of_line(line_with("path", std::string("a\0b", 3))) == errc::unsafe_path);
  CHECK(code_of_line(line_with("path", std::string(4097, 'a'))) == errc::unsafe_path);
  CHECK(code_of_line(line_with("path", {{"base64", "Li4v/w=="}})) == errc::unsafe_path);   // "../\xff"
}

TEST_CASE("manifest: safe names", "[manifest]") {
  for (const char* name : {"a", "app.db", "a/b/c", "..a", "a..", ".hidden", "with space", "\xc3\xa4", "ab:c", "1:2"}) {
    CAPTURE(name);
    CHECK(contrail::is_safe_name(name));
  }
  CHECK(contrail::is_safe_name(std::string(4096, 'a')));
  CHECK_FALSE(contrail::is_safe_name("c:/x"));
}

TEST_CASE("manifest: ids of sets", "[manifest]") {
  const std::string one = contrail::make_set_id();
  const std::string two = contrail::make_set_id();
  CAPTURE(one);
  CHECK(contrail::is_set_id(one));
  CHECK(one != two);
  for (const char* no : {"", "20261123T101500Z", "20261123T101500Z-1F2E3D4C", "20261123t101500Z-1f2e3d4c", "20261123T101500Z-1f2e3d4c0",
                         "2026112xT101500Z-1f2e3d4c", ".partial-20261123T101500Z-1f2e3d4c", "latest"}) {
    CAPTURE(no);
    CHECK_FALSE(contrail::is_set_id(no));
  }
}

TEST_CASE("manifest: thousands of mutations, signed or not, end in an answer", "[manifest]") {
  repo_random random(1);
  const std::string text = sample().write();
  const std::string inner = repo_inner(text);
  std::size_t read = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string bad = repo_mutate(text, random);
    if (bad != text) CHECK(code_of(bad) == errc::set_damaged);
    const std::error_code ec = code_of(repo_sign(repo_mutate(inner, random)));
    const bool answer = !ec || ec == errc::set_damaged || ec == errc::format_unknown || ec == errc::unsafe_path;
    if (!answer) FAIL(ec.message());
    if (!ec) ++read;
  }
  CHECK(read > 0);      // the mutations are not all too coarse
  CHECK(read < 6000);
}

TEST_CASE("manifest: thousands of mutations of a line end in an answer", "[manifest]") {
  repo_random random(2);
  const std::string line = sample_file().write();
  std::size_t read = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::error_code ec = code_of_line(repo_mutate(line, random));
    const bool answer = !ec || ec == errc::set_damaged || ec == errc::unsafe_path;
    if (!answer) FAIL(ec.message());
    if (!ec) ++read;
  }
  CHECK(read > 0);
  CHECK(read < 20000);
}
