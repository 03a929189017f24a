#include "support/pagestore_scene.hpp"
#include "support/pagestore_texts.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/backup_session.hpp>
#include <contrail/engine.hpp>
#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/inspect.hpp>
#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/error.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>

// Files that take the place of others: copies, older states, restored ones.

using namespace contrail::pagestore;
using contrail::errc;
using namespace pagestore_texts;
namespace fs = std::filesystem;

namespace {

// No checkpoint round comes by itself.
parameters in(const fs::path& directory) { return pagestore_scene::small_instance(directory); }

void run(const std::function<asio::awaitable<void>(asio::any_io_executor)>& what) {
  asio::io_context context(1);
  run_on(context, 1, [&] { return what(context.get_executor()); });
}

asio::awaitable<void> back_up(asio::any_io_executor ex, instance& store, fs::path where) {
  contrail::directory_repository sets(ex, where);
  const contrail::backup_options options;
  const contrail::backup_report report = co_await contrail::backup(store.backup_engine(), sets, options);
  CHECK_FALSE(report.recorded);
  CHECK(report.failed_databases.empty());
}
asio::awaitable<std::string> put_back(asio::any_io_executor ex, fs::path where, fs::path into) {
  contrail::directory_repository sets(ex, where);
  contrail::pagestore_restorer restorer(ex);
  const contrail::restore_report report = co_await contrail::restore(sets, restorer, into);
  co_return report.placed.at(0);
}
/// What the first set in a repository holds in two pages.
asio::awaitable<std::string> restored(asio::any_io_executor ex, fs::path sets, fs::path into, page_no one, page_no two) {
  const std::string name = co_await put_back(ex, sets, into);
  instance store = co_await instance::open(ex, in(into));
  const database d = co_await store.attach(name);
  const std::string out = co_await both(store, d, one, two);
  co_await store.terminate();
  co_return out;
}

// (libstdc++ does not overwrite on Windows.)
void copy_over(const fs::path& from, const fs::path& to) {
  fs::remove(to);
  fs::copy_file(from, to);
}

template <typename T>
asio::awaitable<std::error_code> code_of(asio::awaitable<T> work) {
  std::error_code out;
  try {
    const T ignored = co_await std::move(work);
    static_cast<void>(ignored);
  } catch (const std::system_error& e) {
    out = e.code();
  }
  co_return out;
}

}  // namespace

TEST_CASE("pagestore_history: an older file in a database's place has a history of its own: crash and backup", "[pagestore_history]") {
  for (const bool attached_between : {false, true}) {
    CAPTURE(attached_between);
    temp_directory dir;
    page_no one = 0;
    page_no two = 0;
    run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      instance store = co_await instance::open(ex, in(dir / "store"));
      database x = co_await store.create("x.db");
      one = co_await add(store, x, "old");
      two = co_await add(store, x, "old");
      co_await store.detach(x);
      copy_over(dir / "store/x.db", dir / "x.bak");
      x = co_await store.attach("x.db");
      co_await put(store, x, one, "mid");
      co_await put(store, x, two, "mid");
      co_await store.detach(x);
      if (attached_between) {
        const lgpos rolled = co_await store.roll();
        static_cast<void>(rolled);
        co_await store.checkpoint();
        x = co_await store.attach("x.db");
        co_await store.detach(x);
      }
      copy_over(dir / "x.bak", dir / "store/x.db");
      x = co_await store.attach("x.db");
      co_await put(store, x, two, "new");
      co_await back_up(ex, store, dir / "repo");
      co_await store.terminate(term_mode::dirty);
      instance again = co_await instance::open(ex, in(dir / "store"));
      x = co_await again.attach("x.db");
      const std::string recovered = co_await both(again, x, one, two);
      CHECK(recovered == "old new");
      co_await again.terminate();
      const std::string set = co_await restored(ex, dir / "repo", dir / "restored", one, two);
      CHECK(set == "old new");
    });
  }
}

TEST_CASE("pagestore_history: a restored database takes the place of the one that it was copied from", "[pagestore_history]") {
  temp_directory dir;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    database x = co_await store.create("x.db");
    const page_no one = co_await add(store, x, "old");
    const page_no two = co_await add(store, x, "old");
    co_await back_up(ex, store, dir / "repo");
    co_await put(store, x, one, "bad");
    co_await put(store, x, two, "bad");
    const std::string name = co_await put_back(ex, dir / "repo", dir / "back");
    CHECK(name == "x.db");
    co_await store.detach(x);
    copy_over(dir / "back/x.db", dir / "store/x.db");
    // A crash while it is detached does not bring back what the restore has undone.
    co_await store.terminate(term_mode::dirty);
    instance again = co_await instance::open(ex, in(dir / "store"));
    x = co_await again.attach("x.db");
    const std::string recovered = co_await both(again, x, one, two);
    CHECK(recovered == "old old");
    co_await put(again, x, two, "new");
    co_await back_up(ex, again, dir / "second");
    co_await again.terminate(term_mode::dirty);
    instance third = co_await instance::open(ex, in(dir / "store"));
    x = co_await third.attach("x.db");
    const std::string after = co_await both(third, x, one, two);
    CHECK(after == "old new");
    co_await third.terminate();
    const std::string set = co_await restored(ex, dir / "second", dir / "restored", one, two);
    CHECK(set == "old new");
  });
}

TEST_CASE("pagestore_history: two copies of one database are not attached together", "[pagestore_history]") {
  temp_directory dir;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    database x = co_await store.create("x.db");
    const page_no n = co_await add(store, x, "old");
    co_await store.detach(x);
    copy_over(dir / "store/x.db", dir / "store/y.db");
    x = co_await store.attach("x.db");
    const std::error_code second = co_await code_of(store.attach("y.db"));
    CHECK(second == errc::database_in_use);
    co_await store.detach(x);
    const database y = co_await store.attach("y.db");
    const std::string found = co_await get(store, y, n);
    CHECK(found == "old");
    co_await store.terminate();
  });
}

TEST_CASE("pagestore_history: a database that a store has attached is not restored over", "[pagestore_history]") {
  temp_directory dir;
  fs::create_directories(dir / "data");
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    database x = co_await store.create("x.db");
    const page_no n = co_await add(store, x, "old");
    co_await back_up(ex, store, dir / "repo");
    co_await store.detach(x);
    fs::rename(dir / "store/x.db", dir / "data/x.db");
    x = co_await store.attach(dir / "data/x.db");
    co_await put(store, x, n, "new");
    contrail::directory_repository sets(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    contrail::restore_options over;
    over.overwrite = true;
    const std::error_code refused = co_await code_of(contrail::restore(sets, restorer, dir / "data", over));
    CHECK(refused == errc::database_locked);
    const std::string kept = co_await get(store, x, n);
    CHECK(kept == "new");
    co_await store.detach(x);
    const std::error_code done = co_await code_of(contrail::restore(sets, restorer, dir / "data", over));
    CHECK_FALSE(done);
    copy_over(dir / "data/x.db", dir / "x.copy");
    x = co_await store.attach(dir / "data/x.db");
    const std::string back = co_await get(store, x, n);
    CHECK(back == "old");
    const std::error_code beside_logs = co_await code_of(contrail::restore(sets, restorer, dir / "store"));
    CHECK(beside_logs == errc::database_locked);
    // Where logs are, a file may be one that they speak of.
    fs::rename(dir / "x.copy", dir / "store/x.db");
    const std::error_code over_logs = co_await code_of(contrail::restore(sets, restorer, dir / "store", over));
    CHECK(over_logs == errc::database_locked);
    co_await store.terminate();
  });
}

TEST_CASE("pagestore_history: what a database remembers of backups ends with the logs that they speak of", "[pagestore_history]") {
  temp_directory dir;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    database x = co_await store.create("x.db");
    for (unsigned i = 0; i < 5; ++i) {
      const lgpos rolled = co_await store.roll();
      static_cast<void>(rolled);
    }
    co_await back_up(ex, store, dir / "repo");
    co_await store.detach(x);
    contrail::io::file_system files = contrail::io::file_system::of(ex);
    const store_facts before = co_await inspect(files, dir / "store");
    REQUIRE(before.databases.size() == 1);
    REQUIRE(before.databases[0].full);
    CHECK(before.databases[0].full->last > 5);
    x = co_await store.attach("x.db");
    co_await store.terminate();
    const store_facts same = co_await inspect(files, dir / "store");
    CHECK(same.databases.at(0).full);   // the same logs
    for (const auto& e : fs::directory_iterator(dir / "store")) {
      const fs::path kind = e.path().extension();
      if (kind == ".log" || kind == ".chk") fs::remove(e.path());
    }
    instance fresh = co_await instance::open(ex, in(dir / "store"));
    x = co_await fresh.attach("x.db");
    co_await fresh.detach(x);
    const store_facts other = co_await inspect(files, dir / "store");
    CHECK_FALSE(other.databases.at(0).full);
    x = co_await fresh.attach("x.db");
    co_await back_up(ex, fresh, dir / "second");
    co_await fresh.terminate();
    const store_facts after = co_await inspect(files, dir / "store");
    REQUIRE(after.databases.at(0).full);
    CHECK(after.databases[0].full->last < 5);
  });
}

TEST_CASE("pagestore_history: a look at a store tells databases that are elsewhere, or gone", "[pagestore_history]") {
  temp_directory dir;
  fs::create_directories(dir / "elsewhere");
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    for (const char* name : {"x.db", "y.db", "z.db"}) {
      const database outside = co_await store.create(dir / "elsewhere" / name);
      static_cast<void>(outside);
    }
    const database inside = co_await store.create("w.db");
    static_cast<void>(inside);
    co_await store.checkpoint();
    co_await store.terminate(term_mode::dirty);
    fs::remove(dir / "elsewhere/y.db");
    contrail::io::file_system files = contrail::io::file_system::of(ex);
    const store_facts facts = co_await inspect(files, dir / "store");
    CHECK(facts.last_generation == 1);
    CHECK(facts.checkpoint);
    REQUIRE(facts.databases.size() == 4);
    unsigned gone = 0;
    for (const database_facts& d : facts.databases) {
      if (d.problem == "no such file") ++gone;
      else CHECK(d.state == "dirty");
    }
    CHECK(gone == 1);
  });
}

TEST_CASE("pagestore_history: what a killed store has committed last is not restored over, wherever its logs are", "[pagestore_history]") {
  temp_directory dir;
  fs::create_directories(dir / "data/in");
  const bool apart = GENERATE(false, true);
  CAPTURE(apart);
  const fs::path data = apart ? dir / "data/in" : dir / "data";
  const parameters how = in(apart ? dir / "logs" : data);
  const fs::path name = apart ? data / "x.db" : fs::path("in/x.db");
  page_no n = 0;
  const auto over = [&](asio::any_io_executor ex, bool overwrite) -> asio::awaitable<std::error_code> {
    contrail::directory_repository sets(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    contrail::restore_options options;
    options.overwrite = overwrite;
    const std::error_code out = co_await code_of(contrail::restore(sets, restorer, data, options));
    co_return out;
  };
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, how);
    const fs::path first = apart ? "x.db" : "in/x.db";
    database x = co_await store.create(first);
    n = co_await add(store, x, "old");
    co_await back_up(ex, store, dir / "repo");
    if (apart) {
      co_await store.detach(x);
      fs::rename(dir / "logs/x.db", name);
      x = co_await store.attach(name);
    }
    co_await put(store, x, n, "new");
    co_await store.terminate(term_mode::dirty);
  });
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    const std::error_code killed = co_await over(ex, true);
    CHECK(killed == errc::database_locked);
    if (!apart) {
      // Its logs speak of a file that is missing, too.
      fs::rename(data / "in/x.db", dir / "x.db");
      const std::error_code absent = co_await over(ex, false);
      CHECK(absent == errc::database_locked);
      fs::rename(dir / "x.db", data / "in/x.db");
    }
    instance store = co_await instance::open(ex, how);
    const database x = co_await store.attach(name);
    const std::string kept = co_await get(store, x, n);
    CHECK(kept == "new");
    const std::error_code in_use = co_await over(ex, true);
    CHECK(in_use == errc::database_locked);
    co_await store.terminate();
    const std::error_code ended = co_await over(ex, true);
    CHECK(ended == (apart ? std::error_code() : make_error_code(errc::database_locked)));
  });
}

TEST_CASE("pagestore_history: a file that is called like a log keeps nobody from restoring", "[pagestore_history]") {
  temp_directory dir;
  run([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, in(dir / "store"));
    const database x = co_await store.create("x.db");
    const page_no n = co_await add(store, x, "old");
    co_await back_up(ex, store, dir / "repo");
    co_await store.terminate();
    fs::create_directory(dir / "out");
    write_file(dir / "out/app.log", "something else");
    write_file(dir / "out/x.db", "no database at all");
    contrail::directory_repository sets(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    contrail::restore_options options;
    options.overwrite = true;
    const std::error_code done = co_await code_of(contrail::restore(sets, restorer, dir / "out", options));
    CHECK(done == std::error_code());
    CHECK(fs::file_size(dir / "out/x.db") > 4096);
    write_file(dir / "out/app.chk", "a checkpoint is not looked into");
    const std::error_code refused = co_await code_of(contrail::restore(sets, restorer, dir / "out", options));
    CHECK(refused == errc::database_locked);
    static_cast<void>(n);
  });
}
