// contrail pagestore create, info and check.
#include "support/cli_store.hpp"

#include "cli/pagestore/bank_bytes.hpp"
#include "engines/pagestore/format/database_header.hpp"

#include <catch2/catch.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
using contrail::pagestore::instance;
using contrail::pagestore::parameters;
using contrail::pagestore::term_mode;
namespace fs = std::filesystem;

namespace {

parameters in_directory(const fs::path& directory) {
  parameters out;
  out.directory = directory;
  return out;
}

/// What is done to an account without a transfer.
enum class crime { money, count, half };

asio::awaitable<void> commit(asio::any_io_executor ex, fs::path directory, crime what, term_mode end) {
  namespace bytes = contrail::cli::store_bank::bytes;
  const parameters with = in_directory(directory);
  instance store = co_await instance::open(ex, with);
  const fs::path name = "bank1.db";
  const contrail::pagestore::database in = co_await store.attach(name);
  {
    contrail::pagestore::transaction t = store.begin();
    const contrail::pagestore::page_no page = 2 + 1 + 86;   // behind the map, the description and the writers' pages
    std::vector<std::byte> row(bytes::account_bytes);
    const asio::mutable_buffer into = asio::buffer(row);
    const std::size_t count = co_await t.read(in, page, 0, into);
    static_cast<void>(count);
    bytes::account one = bytes::get_account(row);
    CHECK(one.balance == 1000);
    if (what == crime::money) one.balance += 5;
    if (what == crime::count) one.changes += 1;
    bytes::put(row, one);
    if (what == crime::half) row.back() ^= std::byte{1};
    const asio::const_buffer from = asio::buffer(row);
    co_await t.write(in, page, 0, from);
    const contrail::pagestore::commit_info done = co_await t.commit();
    static_cast<void>(done);
  }
  co_await store.terminate(end);
}

/// A store with a database that is nobody's bank.
asio::awaitable<void> make_other(asio::any_io_executor ex, fs::path directory) {
  const parameters with = in_directory(directory);
  instance store = co_await instance::open(ex, with);
  const fs::path name = "mine.db";
  const contrail::pagestore::database in = co_await store.create(name);
  {
    contrail::pagestore::transaction t = store.begin();
    const contrail::pagestore::page_no page = co_await t.allocate(in);
    const std::string text = "no bank";
    const asio::const_buffer from = asio::buffer(text);
    co_await t.write(in, page, 0, from);
    const contrail::pagestore::commit_info done = co_await t.commit();
    static_cast<void>(done);
  }
  co_await store.terminate();
}

}  // namespace

TEST_CASE("cli_pagestore_tool: a bank is made, looked at and checked", "[cli_pagestore_tool]") {
  const workspace w;
  const outcome made = store_run("create", w / "store", {"--databases", "4", "--accounts", "1001", "--json"});
  INFO(made.out << made.err);
  REQUIRE(made.exit == 0);
  CHECK(made.err.empty());
  const auto told = made.parsed();
  CHECK(keys(told) == std::vector<std::string>{"schema", "directory", "databases", "accounts", "expected_total", "seconds"});
  CHECK(told["schema"] == 1);
  CHECK(told["databases"] == std::vector<std::string>{"bank1.db", "bank2.db", "bank3.db", "bank4.db"});
  CHECK(told["accounts"] == 1001);
  CHECK(told["expected_total"] == 1001000);

  const auto checked = good(w / "store");
  CHECK(keys(checked) == std::vector<std::string>{"schema", "status", "total", "expected_total", "writers", "damage"});
  CHECK(checked["total"] == 1001000);
  CHECK(checked["expected_total"] == 1001000);
  CHECK(checked["writers"].empty());
  const outcome words = store_run("check", w / "store");
  CHECK(words.exit == 0);
  CHECK_THAT(words.out, Contains("the bank holds 1001000, expected 1001000") && Contains("4 databases") && Contains(": good"));

  const outcome looked = store_run("info", w / "store", {"--json"});
  INFO(looked.out << looked.err);
  REQUIRE(looked.exit == 0);
  const auto facts = looked.parsed();
  CHECK(keys(facts) == std::vector<std::string>{"schema", "directory", "page_size", "logs", "checkpoint", "databases"});
  CHECK(facts["page_size"] == store_page);
  CHECK(facts["logs"]["first_generation"] == 1);
  CHECK(facts["logs"]["current"] == true);
  CHECK(facts["checkpoint"]["generation"] == facts["logs"]["last_generation"]);
  REQUIRE(facts["databases"].size() == 4);
  for (const auto& one : facts["databases"]) {
    CHECK(one["state"] == "clean");
    CHECK(one["pages"].get<int>() > 64);
    CHECK(one["backups"]["full"].is_null());
  }
  const outcome said = store_run("info", w / "store");
  CHECK(said.exit == 0);
  CHECK_THAT(said.out, Contains("bank4.db: clean") && Contains("checkpoint at "));
}

TEST_CASE("cli_pagestore_tool: the smallest and the widest bank", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "one", {"--databases", "1", "--accounts", "2"});
  CHECK(good(w / "one")["total"] == 2000);
  make_bank(w / "six", {"--databases", "6", "--accounts", "7"});
  CHECK(good(w / "six")["total"] == 7000);
}

TEST_CASE("cli_pagestore_tool: a bank is made in an empty directory only", "[cli_pagestore_tool]") {
  const workspace w;
  fs::create_directory(w / "store");
  make_bank(w / "store");
  const outcome again = store_run("create", w / "store", {"--json"});
  CHECK(again.exit == 1);
  CHECK_THAT(again.err, Contains("a store is there already") && Contains("store"));
  CHECK(again.parsed()["error"]["name"] == "EEXIST");
  CHECK(good(w / "store")["total"] == 2000000);

  fs::create_directory(w / "other");
  write_all(w / "other" / "letter.txt", "mine");
  const outcome other = store_run("create", w / "other");
  CHECK(other.exit == 1);
  CHECK_THAT(other.err, Contains("letter.txt"));
  CHECK(names_in(w / "other") == std::vector<std::string>{"letter.txt"});

  write_all(w / "file", "mine");
  CHECK(store_run("create", w / "file").exit == 1);
  CHECK(read_all(w / "file") == "mine");
  const outcome nowhere = store_run("create", w / "no" / "where");
  CHECK(nowhere.exit == 1);
  CHECK_THAT(nowhere.err, Contains("where"));
  CHECK_FALSE(fs::exists(w / "no"));
}

TEST_CASE("cli_pagestore_tool: a flipped byte is found, and its file is named", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  struct where {
    const char* file;
    std::uint64_t at;
    bool bank;   ///< it can still be read
  };
  const where all[] = {
      {"bank1.db", 100, true},                  // the header's first copy
      {"bank2.db", store_page + 100, true},     // its second one
      {"bank3.db", page_at(1) + 300, false},    // the map of pages
      {"bank2.db", page_at(2) + 45, false},     // the bank's description
      {"bank1.db", page_at(5) + 8000, true},    // a writer's page
      {"bank1.db", page_at(100) + 77, false},   // accounts
      {"bank1.db", page_at(120) + 5, true},     // a page that is free and was never written
      {"edb.log", 100, false},                  // the log's header
      {"edb.log", 6000, false},                 // a record
      {"edb.log", 7 << 20, false},              // behind the last record
      {"edb.chk", 30, true},
      {"edb.chk", 4096 + 2000, true},
  };
  for (const where& one : all) {
    INFO(one.file << " at " << one.at);
    const fs::path copy = w / "copy";
    fs::remove_all(copy);
    fs::copy(w / "store", copy);
    flip(copy / one.file, one.at);
    const auto told = damaged(copy, one.file);
    CHECK(told["total"].is_null() == !one.bank);
  }
}

TEST_CASE("cli_pagestore_tool: a log that recovery has no need of is read as well", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store", {"--accounts", "45000"});
  const auto facts = store_run("info", w / "store", {"--json"}).parsed();
  REQUIRE(facts["checkpoint"]["generation"] == 2);
  flip(w / "store" / "edb00001.log", 6000);
  CHECK(damaged(w / "store", "edb00001.log")["total"] == 45000000);
}

TEST_CASE("cli_pagestore_tool: damage in words", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  flip(w / "store" / "bank1.db", page_at(100) + 77);
  const outcome got = store_run("check", w / "store");
  INFO(got.out << got.err);
  CHECK(got.exit == 3);
  CHECK_THAT(got.out, Contains("bank1.db at byte " + std::to_string(page_at(100)) + ": ") && Contains(": damaged") &&
                          Contains("the bank could not be read as a whole"));
}

TEST_CASE("cli_pagestore_tool: files that are cut, gone, or of another bank", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  make_bank(w / "other");
  const auto fresh = [&w] {
    fs::remove_all(w / "copy");
    fs::copy(w / "store", w / "copy");
    return w / "copy";
  };
  fs::resize_file(fresh() / "bank2.db", page_at(90));
  damaged(w / "copy", "bank2.db");
  fs::remove(fresh() / "bank2.db");
  const outcome two = store_run("check", w / "copy", {"--json"});
  CHECK(two.exit == 3);
  CHECK_THAT(two.out, Contains("not database 2 of 3"));
  fs::resize_file(fresh() / "edb.log", 65536);
  damaged(w / "copy", "edb.log");
  fs::remove(fresh() / "edb.log");
  CHECK(store_run("check", w / "copy").exit == 3);
  fs::remove(fresh() / "edb.chk");
  damaged(w / "copy", "edb.chk");
  fs::remove(fresh() / "bank3.db");
  fs::copy_file(w / "other" / "bank3.db", w / "copy" / "bank3.db");
  const outcome mixed = store_run("check", w / "copy", {"--json"});
  INFO(mixed.out);
  CHECK(mixed.exit == 3);
  CHECK_THAT(mixed.out, Contains("a database of another one"));
}

TEST_CASE("cli_pagestore_tool: what no transfer can have done is seen, also after a crash", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  const term_mode end = GENERATE(term_mode::complete, term_mode::dirty);
  const crime what = GENERATE(crime::money, crime::count, crime::half);
  drive([&](asio::any_io_executor ex) { return commit(ex, w / "store", what, end); });
  const auto told = damaged(w / "store", "bank1.db");
  CHECK(told["expected_total"] == 2000000);
  REQUIRE(told["damage"].size() == 1);
  const std::string words = told["damage"][0]["what"];
  if (what == crime::money) {
    CHECK(told["total"] == 2000005);
    CHECK_THAT(words, Contains("the accounts hold 2000005, expected 2000000"));
  } else if (what == crime::count) {
    CHECK(told["total"] == 2000000);
    CHECK_THAT(words, Contains("changed 1 times, expected 0"));
  } else {
    CHECK(told["total"].is_null());
    CHECK_THAT(words, Contains("parts of two states"));
    CHECK(told["damage"][0]["offset"] == page_at(89) + 40);
  }
}

TEST_CASE("cli_pagestore_tool: what a creation that was cut short has left is no database", "[cli_pagestore_tool]") {
  using namespace contrail::pagestore;
  const workspace w;
  make_bank(w / "store");
  database_header header;
  header.page_size = store_page;
  header.update = 1;
  header.database.random = 7;
  header.database.created = 7;
  header.pages = 16;
  header.dbtime = 1;
  std::vector<std::byte> page(store_page);
  encode_header(header, page);
  const std::string one(reinterpret_cast<const char*>(page.data()), page.size());
  const std::string name = GENERATE("more.db.creating", "more.db");
  write_all(w / "store" / name, one + one + std::string(16 * store_page, '\0'));
  CHECK(store_run("info", w / "store", {"--json"}).parsed()["databases"].size() == 3);
  CHECK(good(w / "store")["total"] == 2000000);
  CHECK(run({"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string()}).exit == 0);
  flip(w / "store" / "bank1.db", 100);   // it hides no damage
  damaged(w / "store", "bank1.db");
}

TEST_CASE("cli_pagestore_tool: a store without a bank has pages and logs to check", "[cli_pagestore_tool]") {
  const workspace w;
  drive([&](asio::any_io_executor ex) { return make_other(ex, w / "store"); });
  const auto told = good(w / "store");
  CHECK(told["total"].is_null());
  CHECK(told["expected_total"].is_null());
  CHECK_THAT(store_run("check", w / "store").out, Contains("no bank is in it"));
  flip(w / "store" / "mine.db", page_at(2) + 60);
  damaged(w / "store", "mine.db");
}

TEST_CASE("cli_pagestore_tool: what a restore leaves is checked, too", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  REQUIRE(run({"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string()}).exit == 0);
  REQUIRE(restore(w / "repo", w / "out").exit == 0);
  const outcome looked = store_run("info", w / "out", {"--json"});
  REQUIRE(looked.exit == 0);
  CHECK(looked.parsed()["logs"].is_null());
  CHECK(looked.parsed()["checkpoint"].is_null());
  CHECK_THAT(store_run("info", w / "out").out, Contains("no logs"));
  CHECK(good(w / "out")["total"] == 2000000);
  CHECK(good(w / "out")["total"] == 2000000);   // has logs now
  // The store remembers its backup.
  const auto facts = store_run("info", w / "store", {"--json"}).parsed();
  for (const auto& one : facts["databases"]) CHECK(one["backups"]["full"]["first_generation"].is_number());
  CHECK_THAT(store_run("info", w / "store").out, Contains("full backup at "));
}

TEST_CASE("cli_pagestore_tool: a store that a process has open", "[cli_pagestore_tool]") {
  const workspace w;
  make_bank(w / "store");
  std::vector<outcome> got;
  outcome looked;
  drive([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    const parameters with = in_directory(w / "store");
    instance mine = co_await instance::open(ex, with);
    got.push_back(store_run("check", w / "store", {"--json"}));
    got.push_back(store_run("bench", w / "store", {"--json"}));
    looked = store_run("info", w / "store");
    // Whatever its files look like meanwhile.
    flip(w / "store" / "edb.log", 100);
    got.push_back(store_run("check", w / "store", {"--json"}));
    flip(w / "store" / "edb.log", 100);
    co_await mine.terminate();
  });
  for (const outcome& one : got) {
    INFO(one.out << one.err);
    CHECK(one.exit == 1);
    CHECK(one.parsed()["error"]["code"] == -1032);
    CHECK_THAT(one.err, Contains("hint: a process has this store open"));
  }
  CHECK(looked.exit == 0);
  good(w / "store");
}

TEST_CASE("cli_pagestore_tool: what is no store is refused, and not touched", "[cli_pagestore_tool]") {
  const workspace w;
  fs::create_directory(w / "empty");
  for (const std::string command : {"info", "check", "bench"}) {
    for (const std::string name : {"empty", "missing"}) {
      const outcome got = store_run(command, w / name, {"--json"});
      INFO(got.out << got.err);
      CHECK(got.exit == 1);
      CHECK(got.parsed()["error"]["code"] == -1811);
      CHECK_THAT(got.err, Contains(name));
    }
  }
  CHECK_FALSE(fs::exists(w / "missing"));
  CHECK(names_in(w / "empty").empty());
}

TEST_CASE("cli_pagestore_tool: wrong usage", "[cli_pagestore_tool]") {
  const workspace w;
  const std::string directory = (w / "store").string();
  const std::vector<std::vector<std::string>> wrong{
      {"pagestore"},
      {"pagestore", "frobnicate"},
      {"pagestore", "create"},
      {"pagestore", "create", ""},
      {"pagestore", "create", directory, "--databases", "0"},
      {"pagestore", "create", directory, "--databases", "7"},
      {"pagestore", "create", directory, "--accounts", "1"},
      {"pagestore", "create", directory, "--accounts", "many"},
      {"pagestore", "create", directory, "--writers", "2"},
      {"pagestore", "check"},
      {"pagestore", "info", directory, "more"},
      {"pagestore", "bench", directory, "--writers", "0"},
      {"pagestore", "bench", directory, "--writers", "257"},
      {"pagestore", "bench", directory, "--seconds", "0"},
      {"pagestore", "bench", directory, "--seconds", "1.5"},
      {"pagestore", "bench", directory, "--backups", "2"},
      {"pagestore", "bench", directory, "--kinds", "full"},
      {"pagestore", "bench", directory, "--rate-limit", "1M"},
      {"pagestore", "bench", directory, "--truncate-logs"},
      {"pagestore", "bench", directory, "--backup-to", directory, "--kinds", "full,,full"},
      {"pagestore", "bench", directory, "--backup-to", directory, "--kinds", "full,half"},
      {"pagestore", "bench", directory, "--backup-to", directory, "--rate-limit", "fast"},
      {"pagestore", "bench", directory, "--backup-to", "--json"},
  };
  for (std::vector<std::string> arguments : wrong) {
    const outcome got = run(arguments);
    INFO(got.out << got.err);
    CHECK(got.exit == 2);
    CHECK_THAT(got.err, Catch::Matchers::StartsWith("contrail: "));
  }
  CHECK(names_in(w.path()).empty());
  CHECK_THAT(run({"pagestore", "frobnicate"}).err, Contains("there is no command \"pagestore frobnicate\"") && Contains("create, info, check, bench"));
}

TEST_CASE("cli_pagestore_tool: help of the commands below", "[cli_pagestore_tool]") {
  CHECK_THAT(run({"pagestore", "--help"}).out, Contains("create") && Contains("info") && Contains("check") && Contains("bench"));
  for (const std::string command : {"create", "info", "check", "bench"}) {
    const outcome got = run({"pagestore", command, "--help"});
    CHECK(got.exit == 0);
    CHECK_THAT(got.out, Contains("contrail pagestore " + command) && Contains("Exit status") && Contains("--json"));
  }
}

TEST_CASE("cli_pagestore_tool: what is no store is not made one: a set, a repository, a directory above a store", "[cli_pagestore_tool]") {
  const workspace w;
  fs::create_directory(w / "above");
  make_bank(w / "above/store");
  const std::string source = "pagestore:" + (w / "above/store").string();
  REQUIRE(run({"backup", source, "--to", (w / "repo").string()}).exit == 0);
  std::vector<fs::path> places{w / "repo", w / "above"};
  for (const auto& e : fs::directory_iterator(w / "repo"))
    if (e.is_directory()) places.push_back(e.path());
  REQUIRE(places.size() == 3);
  for (const fs::path& place : places) {
    INFO(place.string());
    const auto before = names_in(place);
    CHECK(run({"pagestore", "check", place.string()}).exit == 1);
    CHECK(run({"pagestore", "bench", place.string(), "--seconds", "1"}).exit == 1);
    CHECK(run({"backup", "pagestore:" + place.string(), "--to", (w / "other").string()}).exit == 1);
    CHECK((names_in(place) == before));
  }
  CHECK(run({"verify", (w / "repo").string()}).exit == 0);
  // Nor does a store get a repository inside.
  const std::string inside = (w / "above/store/repo").string();
  CHECK_THAT(run({"backup", source, "--to", inside}).err, Contains("outside"));
  CHECK_THAT(run({"pagestore", "bench", (w / "above/store").string(), "--seconds", "1", "--backup-to", inside}).err, Contains("outside"));
  CHECK_FALSE(fs::exists(inside));
  CHECK(good(w / "above/store")["total"] == 2000000);
}
