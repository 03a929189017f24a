#include "support/pagestore_scene.hpp"

#include <contrail/io/file_names.hpp>

#include <catch2/catch.hpp>

using namespace pagestore_scene;
using contrail::io::crash_mode;

TEST_CASE("pagestore_names: no database has the name of one of the store's own files", "[pagestore_names]") {
  for (const char* const logs : {"/store", "/logs"}) {
    INFO(logs);
    simulated_disk disk;
    disk.make_directory("/logs");
    disk.make_directory("/store/below");
    parameters how = small_instance();
    how.log_directory = logs;
    page_no n = 0;
    on(disk, how, [&](instance& store) -> asio::awaitable<void> {
      std::vector<std::string> refused{"edb.log", "edbtmp.log", "edb00001.log", "edb0ABCD.log", "edb00123456.log", "edb.chk", "edb.lock",
                                       "below/edb00002.log", "/store/edb.chk", "/logs/edb00003.log", "a.db.creating"};
      if (contrail::io::file_names_fold()) refused.insert(refused.end(), {"EDB.LOG", "Edb0abcd.Log", "edbTMP.log", "EDB.Chk", "edb.LOCK", "a.db.Creating"});
      for (const std::string& name : refused) {
        INFO(name);
        const std::error_code made = co_await code_of(dropped(store.create(name)));
        CHECK(made == errc::invalid_path);
        const std::error_code attached = co_await code_of(dropped(store.attach(name)));
        CHECK(attached == errc::invalid_path);
      }
      // What only looks like one is a name as any other.
      for (const char* const name : {"edb1.log", "abc00001.log", "edb.log.db", "creating"}) {
        INFO(name);
        const database d = co_await store.create(name);
        co_await store.detach(d);
      }
      const database d = co_await store.create("edbx.log");
      n = co_await one_page(store, d, 5);
      for (unsigned i = 0; i < 3; ++i) co_await dropped(store.roll());
    });
    disk.crash(crash_mode::worst);
    content expected;
    expected[{"edbx.log", n}] = payload_of(5);
    const finding found = look(disk, how, expected, true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_names: a database that is made takes no other one's file away", "[pagestore_names]") {
  simulated_disk disk;
  const parameters how = small_instance();
  content expected;
  on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    // Names that another store might give to what it has not finished.
    for (const char* const name : {"a.db.new", "a.db.tmp", "a.db~", "a", "a.db"}) {
      const database d = co_await store.create(name);
      const page_no n = co_await one_page(store, d, 5 + expected.size());
      expected[{name, n}] = payload_of(5 + expected.size());
    }
    const std::error_code again = co_await code_of(dropped(store.create("a.db")));
    CHECK(again == std::errc::file_exists);
    co_await store.terminate();
  });
  for (const auto& [place, bytes] : expected) CHECK(disk.exists("/store/" + place.first));
  disk.crash(crash_mode::worst);
  const finding found = look(disk, how, expected, true);
  CHECK(found.words() == "");
}
