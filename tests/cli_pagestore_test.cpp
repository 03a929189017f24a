#include "support/cli_commands.hpp"
#include "support/run.hpp"

#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/inspect.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

using namespace contrail::test;
using namespace contrail::pagestore;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

asio::awaitable<void> put(instance* store, database in, std::string text) {
  transaction t = store->begin();
  const page_no page = co_await t.allocate(in);
  co_await t.write(in, page, 0, asio::buffer(text.data(), text.size()));
  const commit_info done = co_await t.commit();
  static_cast<void>(done);
}

/// Databases with a page each; ended so.
asio::awaitable<void> make(asio::any_io_executor ex, fs::path directory, unsigned databases, term_mode how, bool* done) {
  parameters with;
  with.directory = directory;
  with.page_size = 4096;
  with.log_file_size = 128U << 10U;
  with.log_buffer = 64U << 10U;
  instance store = co_await instance::open(ex, with);
  for (unsigned i = 1; i <= databases; ++i) {
    const fs::path name = "one" + std::to_string(i) + ".db";
    const database made = co_await store.create(name);
    co_await put(&store, made, "page of " + std::to_string(i));
    // More than an instance can have open at once are made one after the other.
    if (i == most_databases) co_await store.detach(made);
  }
  co_await store.terminate(how);
  *done = true;
}

asio::awaitable<void> read(asio::any_io_executor ex, fs::path directory, fs::path name, std::string* text) {
  parameters with;
  with.directory = directory;
  with.page_size = 4096;
  with.log_file_size = 128U << 10U;
  with.log_buffer = 64U << 10U;
  instance store = co_await instance::open(ex, with);
  const database found = co_await store.attach(name);
  std::string bytes(9, '\0');
  {
    transaction t = store.begin();
    const std::size_t count = co_await t.read(found, 2, 0, asio::buffer(bytes));
    bytes.resize(count);
  }
  co_await store.terminate();
  *text = bytes;
}

void drive(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  std::exception_ptr failed;
  asio::co_spawn(context, what(context.get_executor()), [&failed](std::exception_ptr e) { failed = std::move(e); });
  context.run();
  if (failed) std::rethrow_exception(failed);
}

void make_store(const fs::path& directory, unsigned databases = 2, term_mode how = term_mode::complete) {
  bool done = false;
  drive([&](asio::any_io_executor ex) { return make(ex, directory, databases, how, &done); });
  REQUIRE(done);
}

std::string page_of(const fs::path& directory, const std::string& name) {
  std::string out;
  drive([&](asio::any_io_executor ex) { return read(ex, directory, name, &out); });
  return out;
}

outcome back_up_store(const fs::path& directory, const fs::path& repository, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"backup", "pagestore:" + directory.string(), "--to", repository.string(), "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

}  // namespace

TEST_CASE("cli_pagestore: backed up, proven, restored, and backed up again from there", "[cli_pagestore]") {
  const workspace w;
  // As a crash leaves it, too: it is recovered first.
  make_store(w / "store", 2, GENERATE(term_mode::complete, term_mode::dirty));
  const outcome made = back_up_store(w / "store", w / "repo");
  INFO(made.out << made.err);
  REQUIRE(made.exit == 0);
  CHECK(made.err.empty());
  CHECK(made.parsed()["engine"] == "pagestore");
  CHECK(back_up_store(w / "store", w / "repo", {"--kind", "copy"}).exit == 0);
  const outcome proven = run({"verify", (w / "repo").string(), "--prove"});
  INFO(proven.out << proven.err);
  CHECK(proven.exit == 0);
  CHECK_THAT(proven.out, Contains("good, proven"));
  const outcome back = restore(w / "repo", w / "out");
  INFO(back.err);
  REQUIRE(back.exit == 0);
  CHECK(page_of(w / "store", "one1.db") == "page of 1");
  // What a restore leaves has no logs yet.
  CHECK(back_up_store(w / "out", w / "repo").exit == 0);
  CHECK(run({"restore", (w / "repo").string(), "--into", (w / "again").string()}).exit == 0);
  CHECK(names_in(w / "again") == std::vector<std::string>{"one1.db", "one2.db"});
  CHECK(page_of(w / "again", "one2.db") == "page of 2");
}

TEST_CASE("cli_pagestore: a failed backup leaves the store as one that ended well", "[cli_pagestore]") {
  const workspace w;
  make_store(w / "store");
  write_all(w / "repo", "mine");
  CHECK(back_up_store(w / "store", w / "repo").exit == 1);
  store_facts facts;
  drive([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system files(ex);
    facts = co_await inspect(files, w / "store");
  });
  REQUIRE(facts.databases.size() == 2);
  for (const database_facts& one : facts.databases) CHECK(one.state == "clean");
}

TEST_CASE("cli_pagestore: a store that a process has open says how it can be backed up", "[cli_pagestore]") {
  const workspace w;
  make_store(w / "store");
  outcome got;
  drive([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    parameters with;
    with.directory = w / "store";
    with.page_size = 4096;
    with.log_file_size = 128U << 10U;
    with.log_buffer = 64U << 10U;
    instance mine = co_await instance::open(ex, with);
    got = back_up_store(w / "store", w / "repo");
    co_await mine.terminate();
  });
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK(got.parsed()["error"]["code"] == -1032);
  CHECK_THAT(got.err, Contains("hint: ") && Contains("backup_engine()"));
  CHECK_FALSE(fs::exists(w / "repo"));
}

TEST_CASE("cli_pagestore: what is no store, and what is one and was not called so", "[cli_pagestore]") {
  const workspace w;
  fs::create_directory(w / "empty");
  for (const std::string name : {"empty", "missing"}) {
    const outcome got = back_up_store(w / name, w / "repo");
    INFO(got.out << got.err);
    CHECK(got.exit == 1);
    CHECK(got.parsed()["error"]["code"] == -1811);
    CHECK_THAT(got.err, Contains(name));
  }
  CHECK_FALSE(fs::exists(w / "missing"));
  CHECK(names_in(w / "empty").empty());
  make_store(w / "store");
  const outcome bare = run({"backup", (w / "store").string(), "--to", (w / "repo").string()});
  CHECK(bare.exit == 2);
  CHECK_THAT(bare.err, Contains("write pagestore:"));
}

TEST_CASE("cli_pagestore: more databases than can be open at once", "[cli_pagestore]") {
  const workspace w;
  make_store(w / "store", most_databases + 1);
  const outcome got = back_up_store(w / "store", w / "repo");
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Contains("at most 6 databases") && Contains("7"));
  CHECK_FALSE(fs::exists(w / "repo"));
}

TEST_CASE("cli_pagestore: it is in every build", "[cli_pagestore]") {
  const outcome got = run({"info", "--json"});
  REQUIRE(got.exit == 0);
  const auto told = got.parsed();
  for (const auto& one : told["engines"]) {
    if (one["name"] != "pagestore") continue;
    CHECK(one["available"] == true);
    CHECK(one["version"].is_string());
    CHECK(one["build_option"].is_null());
    return;
  }
  FAIL("pagestore is not listed");
}
