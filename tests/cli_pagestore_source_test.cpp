// What of a store the program backs up, and what it does where that is not all.
#include "support/cli_store.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
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

asio::awaitable<void> put(instance* store, contrail::pagestore::database in, std::string text) {
  contrail::pagestore::transaction t = store->begin();
  const contrail::pagestore::page_no page = co_await t.allocate(in);
  const asio::const_buffer from = asio::buffer(text);
  co_await t.write(in, page, 0, from);
  const contrail::pagestore::commit_info done = co_await t.commit();
  static_cast<void>(done);
}

/// As a crash leaves it: a database that lies elsewhere, which is listed neither in the only log's header nor in the checkpoint.
asio::awaitable<void> crash_with_other(asio::any_io_executor ex, fs::path directory, fs::path elsewhere) {
  const parameters with = in_directory(directory);
  instance store = co_await instance::open(ex, with);
  const fs::path name = "a.db";
  const contrail::pagestore::database a = co_await store.create(name);
  co_await put(&store, a, "here");
  const contrail::pagestore::database x = co_await store.create(elsewhere);
  co_await put(&store, x, "elsewhere");
  co_await store.terminate(term_mode::dirty);
}

}  // namespace

TEST_CASE("cli_pagestore_source: a database that lies elsewhere, and that only recovery knows of, belongs to the store", "[cli_pagestore_source]") {
  const workspace w;
  fs::create_directory(w / "else");
  drive([&](asio::any_io_executor ex) { return crash_with_other(ex, w / "store", w / "else" / "x.db"); });
  const std::string source = "pagestore:" + (w / "store").string();
  REQUIRE(store_run("info", w / "store", {"--json"}).parsed()["databases"].size() == 1);   // what headers can tell

  SECTION("it is backed up") {
    const outcome made = run({"backup", source, "--to", (w / "repo").string(), "--json"});
    INFO(made.out << made.err);
    REQUIRE(made.exit == 0);
    CHECK(run({"verify", (w / "repo").string(), "--prove"}).exit == 0);
    REQUIRE(restore(w / "repo", w / "out").exit == 0);
    CHECK(names_in(w / "out").size() == 2);
    CHECK(store_run("info", w / "store", {"--json"}).parsed()["databases"].size() == 2);   // from now on the checkpoint lists it
  }
  SECTION("it is checked") {
    flip(w / "else" / "x.db", page_at(10) + 5);   // of a free page, which no log mends
    const outcome got = store_run("check", w / "store");
    INFO(got.out << got.err);
    CHECK(got.exit == 3);
    CHECK_THAT(got.out, Contains("x.db at byte " + std::to_string(page_at(10))) && Contains("2 databases"));
  }
  SECTION("without it there is no backup") {
    fs::rename(w / "else" / "x.db", w / "away.db");
    const outcome made = run({"backup", source, "--to", (w / "repo").string(), "--json"});
    INFO(made.out << made.err);
    CHECK(made.exit == 1);
    CHECK_THAT(made.err, Contains("x.db"));
    CHECK_FALSE(fs::exists(w / "repo"));
  }
}

TEST_CASE("cli_pagestore_source: a copy of a database beside it is refused before it costs the original its backups", "[cli_pagestore_source]") {
  const workspace w;
  make_bank(w / "store");
  const std::string source = "pagestore:" + (w / "store").string();
  REQUIRE(run({"backup", source, "--to", (w / "repo").string()}).exit == 0);
  const auto remembered = [&w] {
    const auto told = store_run("info", w / "store", {"--json"}).parsed();
    std::size_t out = 0;
    for (const auto& one : told["databases"]) {
      out += one["name"] != "a-copy.db" && !one["backups"]["full"].is_null() ? 1U : 0U;
    }
    return out;
  };
  REQUIRE(remembered() == 3);
  // It comes before its original.
  fs::copy_file(w / "store" / "bank2.db", w / "store" / "a-copy.db");
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"backup", source, "--to", (w / "repo").string(), "--json"},
                                                    {"pagestore", "check", (w / "store").string(), "--json"},
                                                    {"pagestore", "bench", (w / "store").string(), "--seconds", "1", "--json"}}) {
    const outcome got = run(arguments);
    INFO(got.out << got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["code"] == -1202);
    CHECK_THAT(got.err, Contains("bank2.db") && Contains("a-copy.db"));
    CHECK(remembered() == 3);
  }
  CHECK(names_in(w / "repo").size() == 1);
  fs::remove(w / "store" / "a-copy.db");
  const std::vector<std::string> chained{"--seconds", "1", "--backup-to", (w / "repo").string(), "--kinds", "incremental", "--json"};
  const outcome next = store_run("bench", w / "store", chained);
  INFO(next.out << next.err);
  CHECK(next.exit == 0);   // the chain goes on
}

TEST_CASE("cli_pagestore_source: a set without a database that cannot be read is a failure that names both", "[cli_pagestore_source]") {
  const workspace w;
  make_bank(w / "store");
  flip(w / "store" / "bank2.db", page_at(100) + 77);
  const outcome got = run({"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string(), "--json"});
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  const auto told = got.parsed()["error"];
  const auto names = names_in(w / "repo");
  REQUIRE(names.size() == 1);
  CHECK(told["set"] == names.front());
  CHECK(told["code"] == -1018);
  CHECK_THAT(told["file"].get<std::string>(), Contains("bank2.db"));
  const std::string words = told["message"];
  CHECK_THAT(words, Contains("set " + names.front() + " was made WITHOUT ") && Contains("bank2.db") && !Contains("bank1.db"));
  CHECK_THAT(got.err, Contains("hint: "));
  // The others are in it.
  REQUIRE(restore(w / "repo", w / "out").exit == 0);
  CHECK(names_in(w / "out") == std::vector<std::string>{"bank1.db", "bank3.db"});
  // Nothing is left when none can be read.
  for (const char* name : {"bank1.db", "bank3.db"}) flip(w / "store" / name, page_at(100) + 77);
  const outcome none = run({"backup", "pagestore:" + (w / "store").string(), "--to", (w / "other").string(), "--json"});
  INFO(none.out << none.err);
  CHECK(none.exit == 1);
  CHECK(none.parsed()["error"]["set"].is_null());
  CHECK_FALSE(fs::exists(w / "other"));
}

TEST_CASE("cli_pagestore_source: a backup deletes logs when it is asked to", "[cli_pagestore_source]") {
  const workspace w;
  make_bank(w / "store");
  const auto logs = [&w] {
    const auto names = names_in(w / "store");
    return std::count_if(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".log"); });
  };
  const auto back_up = [&w](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"backup", "pagestore:" + (w / "store").string(), "--to", (w / "repo").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const outcome got = run(arguments);
    INFO(got.out << got.err);
    return got;
  };
  for (int i = 0; i < 3; ++i) CHECK(back_up({"--json"}).parsed()["logs_deleted"] == 0);
  const auto kept = logs();
  const auto first = back_up({"--truncate-logs", "--json"}).parsed();
  CHECK(first["logs_deleted"] >= 3);
  const auto few = logs();
  CHECK(few < kept);
  for (int i = 0; i < 3; ++i) {
    const outcome got = back_up({"--truncate-logs"});
    CHECK(got.exit == 0);
    CHECK(got.err.empty());
    CHECK_THAT(got.out, Contains("deleted"));
    CHECK(logs() == few);   // however often
  }
  CHECK(back_up({"--truncate-logs", "--kind", "copy"}).exit == 2);
  CHECK(logs() == few);
  // Nothing is missing: for the store, for the sets, and for those that build on the last one.
  CHECK(good(w / "store")["total"] == 2000000);
  CHECK(store_run("bench", w / "store", {"--seconds", "1", "--backup-to", (w / "repo").string(), "--kinds", "incremental"}).exit == 0);
  const outcome proven = run({"verify", (w / "repo").string(), "--prove"});
  INFO(proven.out << proven.err);
  CHECK(proven.exit == 0);
  // What goes on from the last full backup of a database that cannot be read is kept, and so is all where it has none.
  const auto before = logs();
  flip(w / "store" / "bank2.db", page_at(100) + 77);
  CHECK(back_up({"--truncate-logs"}).exit == 1);
  CHECK(logs() > before);
  make_bank(w / "fresh");
  flip(w / "fresh" / "bank2.db", page_at(100) + 77);
  const outcome partial = run({"backup", "pagestore:" + (w / "fresh").string(), "--to", (w / "repo").string(), "--truncate-logs"});
  CHECK(partial.exit == 1);
  CHECK(store_run("info", w / "fresh", {"--json"}).parsed()["logs"]["first_generation"] == 1);
}
