#include "common/windows_names.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "format/storable_names.hpp"

#include <catch2/catch.hpp>

#include <asio/io_context.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace {

using contrail::errc;
using contrail::storable_names;
using contrail::io::detail::why_not_a_windows_name;
using contrail::io::detail::windows_fold;

bool storable(std::string_view name) { return why_not_a_windows_name(name).empty(); }

std::string utf8(char32_t c) {
  std::string out;
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
  return out;
}

storable_names::rules windows_rules() {
  storable_names::rules out;
  out.why_not = &why_not_a_windows_name;
  out.fold = &windows_fold;
  return out;
}

template <typename F>
std::error_code code_of(F work) {
  try {
    work();
  } catch (const contrail::error& e) {
    return e.code();
  }
  return {};
}

/// What comes of adding all of them.
std::error_code added(const std::vector<std::string>& names, std::size_t memory = std::size_t{1} << 20) {
  return code_of([&] {
    storable_names table(windows_rules(), memory);
    for (const std::string& name : names) table.add(name, "test");
  });
}

}  // namespace

TEST_CASE("file_names: names of devices are refused, in every case and with every extension", "[file_names]") {
  std::vector<std::string> devices{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
  for (const std::string port : {"COM", "LPT"}) {
    for (char digit = '0'; digit <= '9'; ++digit) devices.push_back(port + digit);
    for (const char* const superscript : {"\xC2\xB9", "\xC2\xB2", "\xC2\xB3"}) devices.push_back(port + superscript);
  }
  CHECK(devices.size() == 6 + 2 * 13);
  for (const std::string& device : devices) {
    std::string small = device;
    std::string mixed = device;
    for (std::size_t i = 0; i < device.size(); ++i) {
      const bool capital = device[i] >= 'A' && device[i] <= 'Z';
      if (capital) small[i] = static_cast<char>(device[i] + 0x20);
      if (capital && i % 2 == 1) mixed[i] = small[i];
    }
    for (const std::string& way : {device, small, mixed}) {
      INFO(way);
      for (const char* const behind : {"", ".txt", ".tar.gz", " .txt", "  .x", ".a b", ".CON"}) CHECK_FALSE(storable(way + behind));
      CHECK(storable(way + "x"));
      CHECK(storable("x" + way));
      CHECK(storable("." + way));
      CHECK(storable("x." + way));
      CHECK(storable(way + "_.db"));
      CHECK(storable(" " + way));
    }
  }
  for (const char* const name : {"COM", "LPT", "COM10", "COMA", "COM1x", "CONIN", "CONOUT", "LPT\xC2\xB4", "COM\xE2\x81\xB4", "CO", "NU L"}) {
    INFO(name);
    CHECK(storable(name));
  }
}

TEST_CASE("file_names: characters that Windows has another use for are refused", "[file_names]") {
  for (int c = 0; c < 0x80; ++c) {
    INFO(c);
    const std::string name = std::string("a") + static_cast<char>(c) + "b";
    const bool refused = c < 0x20 || std::string_view("<>:\"/\\|?*").find(static_cast<char>(c)) != std::string_view::npos;
    CHECK(storable(name) == !refused);
  }
}

TEST_CASE("file_names: what Windows would leave out or walk along is refused", "[file_names]") {
  for (const char* const name : {"", ".", "..", "a.", "a ", "a..", "a. ", "a .", " ", "...", "Zürich."}) {
    INFO('"' << name << '"');
    CHECK_FALSE(storable(name));
  }
  for (const char* const name : {" a", ".a", "..a", "a.b", "a b", "Zürich-Ж-数据.db", "😀", "~", "a;b", "-", "$"}) {
    INFO(name);
    CHECK(storable(name));
  }
}

TEST_CASE("file_names: a name for Windows is UTF-8 of at most 255 units of UTF-16", "[file_names]") {
  CHECK(storable(std::string(255, 'a')));
  CHECK_FALSE(storable(std::string(256, 'a')));
  std::string wide;
  for (int i = 0; i < 255; ++i) wide += "数";
  CHECK(storable(wide));
  CHECK_FALSE(storable(wide + "a"));
  std::string pairs;
  for (int i = 0; i < 127; ++i) pairs += "😀";
  CHECK(storable(pairs));
  CHECK(storable(pairs + "a"));
  CHECK_FALSE(storable(pairs + "ab"));
  CHECK_FALSE(storable(pairs + "😀"));

  const std::vector<std::string> broken{
      "\x80",         "a\xFF",        "\xC3",             "\xC3(",            "\xC0\xAF",         "\xC1\x81",         "\xE0\x80\x80",
      "\xE0\x9F\xBF", "\xE2\x82",     "\xE2\x28\xA1",     "\xED\xA0\x80",     "\xED\xBF\xBF",     "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
      "\xF0\x9F\x98", "\xF5\x80\x80\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "a\xBF\x62"};
  for (const std::string& name : broken) CHECK_FALSE(storable(name));
  for (char32_t c = 0x80; c < 0x110000; c += c < 0x3000 ? 1 : 61) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (!storable(utf8(c))) FAIL("refused: " << static_cast<unsigned long>(c));
  }
}

TEST_CASE("file_names: capital and small letters fold together, other letters do not", "[file_names]") {
  CHECK(windows_fold("Data/app.DB") == "DATA/APP.DB");
  CHECK(windows_fold("zürich-ж-éñ-ω") == "ZÜRICH-Ж-ÉÑ-Ω");
  CHECK(windows_fold("ÿ") == "Ÿ");
  CHECK(windows_fold("ς") == windows_fold("σ"));
  CHECK(windows_fold("ａ") == "Ａ");
  CHECK(windows_fold("ա") == "Ա");
  for (const char* const name : {"", "ß", "ı", "ſ", "数据", "😀", "\xFF\xC3(", "İ", "µ", "0_-[{"}) CHECK(windows_fold(name) == name);
  // A fold is its own fold, or two names could be taken for one in one order and for two in the other.
  for (char32_t c = 1; c < 0x11000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string once = windows_fold(utf8(c));
    if (windows_fold(once) != once) FAIL("folds twice: " << static_cast<unsigned long>(c));
    if (!storable("a" + once) && c >= 0x80) FAIL("folds to no name: " << static_cast<unsigned long>(c));
  }
}

TEST_CASE("file_names: each system says what it cannot store, in words", "[file_names]") {
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a\0b", 3)}) {
    CHECK_FALSE(contrail::io::why_not_a_file_name(name).empty());
  }
  for (const char* const name : {"a", ".hidden", "Zürich-Ж-数据.db"}) CHECK(contrail::io::why_not_a_file_name(name).empty());
  CHECK(contrail::io::file_names_fold() == (contrail::io::fold_file_name("a") != "a"));
  CHECK(contrail::io::why_not_a_file_name("NUL").empty() == !contrail::io::file_names_fold());
  CHECK_FALSE(contrail::io::temporary_directory().empty());
}

TEST_CASE("file_names: every component of a set's name must be storable", "[file_names]") {
  const storable_names table(windows_rules(), 0);
  for (const char* const name : {"aux", "a/aux.db", "con/b", "a/b./c", "a /b", "a:b", "a/b?"}) {
    INFO(name);
    CHECK(code_of([&] { table.require_storable(name, "test"); }) == errc::invalid_path);
  }
  CHECK_FALSE(code_of([&] { table.require_storable("a/b/Zürich-Ж-数据.db", "test"); }));
  try {
    table.require_storable("data/aux.db", "restore set 1");
    FAIL("not refused");
  } catch (const contrail::error& e) {
    CHECK(e.details().file == "data/aux.db");
    CHECK(e.details().operation == "restore set 1");
    CHECK(std::string(e.what()).find("the name of a device") != std::string::npos);
  }
}

TEST_CASE("file_names: names that differ in capitals only are refused, of files and of directories", "[file_names]") {
  CHECK_FALSE(added({"a", "b", "d/a", "d/b", "e/d/a", "Ä"}));
  CHECK(added({"a", "A"}) == errc::invalid_path);
  CHECK(added({"d/Ä", "x", "d/ä"}) == errc::invalid_path);
  CHECK(added({"d/a", "D/b"}) == errc::invalid_path);
  CHECK(added({"d/e/a", "x", "d/E/b"}) == errc::invalid_path);
  CHECK(added({"D", "d/a"}) == errc::invalid_path);
  CHECK(added({"d/a", "D"}) == errc::invalid_path);
  CHECK(added({"d/a", "d/nul"}) == errc::invalid_path);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("file-" + std::to_string(i));
  CHECK_FALSE(added(many));
  CHECK(added(many, std::size_t{20} << 10) == errc::out_of_memory);

  storable_names table(windows_rules(), std::size_t{1} << 20);
  table.add("manifest.json", "test");
  CHECK(code_of([&] { table.require_apart("Manifest.JSON", "test"); }) == errc::invalid_path);
  CHECK_FALSE(code_of([&] { table.require_apart("other", "test"); }));
  CHECK_FALSE(code_of([&] { table.require_apart("OTHER", "test"); }));   // only what was added
  CHECK(table.holds("MANIFEST.json"));
  CHECK_FALSE(table.holds("other"));
}

TEST_CASE("file_names: a simulated disk stores every name", "[file_names]") {
  asio::io_context context;
  contrail::io::simulated_disk disk;
  const contrail::io::file_system simulated = disk.mount(context.get_executor());
  const storable_names::rules all = storable_names::rules_of(simulated);
  CHECK(all.why_not == nullptr);
  CHECK(all.fold == nullptr);
  storable_names table(all, std::size_t{1} << 20);
  for (const char* const name : {"nul", "NUL", "a:b", "d/x", "D/x"}) CHECK_FALSE(code_of([&] { table.add(name, "test"); }));
  const contrail::io::file_system real = contrail::io::file_system::of(context.get_executor());
  CHECK((storable_names::rules_of(real).fold != nullptr) == contrail::io::file_names_fold());
  CHECK(storable_names::rules_of(real).why_not != nullptr);
}
