#include "support/pagestore_scene.hpp"
#include "support/pagestore_texts.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>
#include <contrail/manifest.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// What goes on in a store, or has happened to its files, when a backup comes.

using namespace contrail::pagestore;
using contrail::backup_options;
using contrail::backup_report;
using contrail::directory_repository;
using contrail::errc;
using contrail::io::simulated_disk;
using namespace pagestore_texts;

namespace {

using manifest_ptr = std::shared_ptr<const contrail::manifest>;

void with_store(const parameters& how, const std::function<asio::awaitable<void>(asio::io_context&, instance&)>& what) {
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    instance store = co_await instance::open(context.get_executor(), how);
    co_await what(context, store);
    co_await store.terminate(term_mode::complete);
  });
}

/// Started now; `left` counts those that have not ended, `code` gets what it fails with.
void start(asio::io_context& context, asio::awaitable<void> work, unsigned& left, std::error_code& code) {
  ++left;
  asio::co_spawn(context, std::move(work), [&left, &code](std::exception_ptr failure) {
    --left;
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::system_error& e) {
      code = e.code();
    }
  });
}

asio::awaitable<manifest_ptr> info_of(directory_repository& repository, std::string set) {
  const std::unique_ptr<contrail::set_reader> reader = co_await repository.open(std::move(set), std::size_t{4} << 20U);
  co_return reader->info();
}

/// Other bytes in place of a page, as a disk may do that loses what it had.
void replace_page(simulated_disk& disk, const std::string& file, page_no n, const std::string& bytes) {
  std::string all = disk.read_file(file);
  all.replace((std::size_t{n} + 1) * 4096, bytes.size(), bytes);
  disk.write_file(file, all);
}

std::string page_of(const simulated_disk& disk, const std::string& file, page_no n) { return disk.read_file(file).substr((std::size_t{n} + 1) * 4096, 4096); }

}  // namespace

TEST_CASE("pagestore_backup_beside: no database comes or goes during a backup, however long it has waited for that", "[pagestore_backup_beside]") {
  const temp_directory dir;
  // Where the backup begins, among calls that have been asked for before.
  for (unsigned turns = 0; turns < 12; ++turns) {
    CAPTURE(turns);
    const std::filesystem::path place = dir / std::to_string(turns);
    std::filesystem::create_directories(place);
    parameters how = pagestore_scene::small_instance(place / "store");
    how.growth = 256;
    with_store(how, [&](asio::io_context& context, instance& store) -> asio::awaitable<void> {
      const auto ex = context.get_executor();
      const database y = co_await store.create("y.db");
      static_cast<void>(co_await add(store, y, "YYY"));
      const database x = co_await store.create("x.db");
      static_cast<void>(co_await add(store, x, "XXX"));
      directory_repository repository(ex, place / "repo");
      const backup_options options;
      co_await store.detach(y);
      // A creation holds the others up.
      unsigned left = 0;
      std::error_code of_create, of_detach, of_attach, of_backup;
      backup_report report;
      const auto create = [&]() -> asio::awaitable<void> {
        const database c = co_await store.create("c.db");
        static_cast<void>(c);
      };
      bool over = false, detached_before = false, attached_before = false;
      const auto detach = [&]() -> asio::awaitable<void> {
        co_await store.detach(x);
        detached_before = !over;
      };
      const auto attach = [&]() -> asio::awaitable<void> {
        const database again = co_await store.attach("y.db");
        static_cast<void>(again);
        attached_before = !over;
      };
      const auto back_up = [&]() -> asio::awaitable<void> {
        report = co_await contrail::backup(store.backup_engine(), repository, options);
        over = true;
      };
      start(context, create(), left, of_create);
      start(context, detach(), left, of_detach);
      start(context, attach(), left, of_attach);
      for (unsigned i = 0; i < turns; ++i) co_await asio::post(ex, asio::use_awaitable);
      start(context, back_up(), left, of_backup);
      while (left != 0) co_await asio::post(ex, asio::use_awaitable);
      CHECK_FALSE(of_create);
      for (const std::error_code code : {of_detach, of_attach}) CHECK((!code || code == errc::backup_in_progress));
      CHECK_FALSE(of_backup);
      CHECK_FALSE(report.recorded);
      CHECK(report.failed_databases.empty());
      const manifest_ptr made = co_await info_of(repository, report.set);
      // Whatever was let in came before the set was begun.
      const auto has = [&made](const std::string& name) {
        return std::any_of(made->databases.begin(), made->databases.end(), [&name](const auto& d) { return d.name.ends_with(name); });
      };
      CHECK(has("x.db") != detached_before);
      CHECK(has("y.db") == attached_before);
    });
  }
}

TEST_CASE("pagestore_backup_beside: a page that the file has lost is no page of a backup", "[pagestore_backup_beside]") {
  const parameters how = pagestore_scene::small_instance();
  const std::string file = "/store/a.db";
  const bool cached = GENERATE(false, true);
  const std::string what = GENERATE("zeros", "when it was free", "a map");
  CAPTURE(cached, what);
  simulated_disk disk;
  page_no lost = 0;
  std::string other(4096, '\0');
  pagestore_scene::on(disk, how, [&](instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    for (unsigned i = 0; i < 20; ++i) lost = co_await add(store, a, "AAA");
    transaction t = store.begin();
    co_await t.free(a, lost);
    static_cast<void>(co_await t.commit());
    co_await store.terminate(term_mode::complete);
  });
  if (what == "when it was free") other = page_of(disk, file, lost);
  std::error_code code;
  std::string words;
  pagestore_scene::run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system files = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &files);
    const database a = co_await store.attach("a.db");
    const page_no again = co_await add(store, a, "BBB");
    CHECK(again == lost);
    co_await store.checkpoint();
    if (!cached) {
      co_await store.detach(a);
      const database anew = co_await store.attach("a.db");
      static_cast<void>(anew);
    }
    replace_page(disk, file, what == "a map" ? 1 : lost, other);
    directory_repository repository(files, "/repo");
    const backup_options options;
    try {
      static_cast<void>(co_await contrail::backup(store.backup_engine(), repository, options));
    } catch (const contrail::error& e) {
      code = e.code();
      words = e.what();
    }
    co_await store.terminate(term_mode::dirty);
  });
  INFO(words);
  CHECK(code == errc::read_verify_failure);
  CHECK(words.find(what == "a map" ? "page 1" : "page " + std::to_string(lost)) != std::string::npos);
}

TEST_CASE("pagestore_backup_beside: pages that have not come to their file are no lost ones", "[pagestore_backup_beside]") {
  const temp_directory dir;
  parameters how = pagestore_scene::small_instance(dir / "store");
  how.cache_size = 400;
  std::vector<page_no> numbers;
  with_store(how, [&](asio::io_context& context, instance& store) -> asio::awaitable<void> {
    const database a = co_await store.create("a.db");
    // Allocated in the map of the file, as nobody writes them out by themselves before the next round.
    for (unsigned i = 0; i < 30; ++i) {
      const page_no n = co_await add(store, a, "AAA");
      numbers.push_back(n);
    }
    unsigned left = 0;
    std::error_code code;
    bool over = false;
    // And while the backup runs some are freed, and others come.
    const auto change = [&]() -> asio::awaitable<void> {
      while (!over) {
        const page_no n = co_await add(store, a, "CCC");
        co_await store.checkpoint();
        transaction t = store.begin();
        co_await t.free(a, n);
        static_cast<void>(co_await t.commit());
      }
    };
    start(context, change(), left, code);
    directory_repository repository(context.get_executor(), dir / "repo");
    for (unsigned i = 0; i < 10; ++i) {
      const backup_options options;
      const backup_report report = co_await contrail::backup(store.backup_engine(), repository, options);
      CHECK(report.failed_databases.empty());
    }
    over = true;
    while (left != 0) co_await asio::post(context.get_executor(), asio::use_awaitable);
    CHECK_FALSE(code);
  });
}

TEST_CASE("pagestore_backup_beside: a database that lies elsewhere gets a name that is in nobody's way", "[pagestore_backup_beside]") {
  const temp_directory dir;
  const parameters how = pagestore_scene::small_instance(dir / "store");
  const std::string name = GENERATE("database-2", "database-3/x.db");
  CAPTURE(name);
  std::filesystem::create_directories(dir / "store" / "database-3");
  std::filesystem::create_directories(dir / "elsewhere");
  with_store(how, [&](asio::io_context& context, instance& store) -> asio::awaitable<void> {
    std::vector<std::filesystem::path> names{name, dir / "elsewhere" / "x.db", dir / "elsewhere" / "y.db"};
    if (name != "database-2") std::swap(names[1], names[2]);
    for (const std::filesystem::path& one : names) {
      const database d = co_await store.create(one);
      const page_no n = co_await add(store, d, "AAA");
      static_cast<void>(n);
    }
    directory_repository repository(context.get_executor(), dir / "repo");
    const backup_options options;
    const backup_report report = co_await contrail::backup(store.backup_engine(), repository, options);
    const manifest_ptr made = co_await info_of(repository, report.set);
    CHECK(made->databases.size() == 3);
  });
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    directory_repository repository(ex, dir / "repo");
    contrail::pagestore_restorer restorer(ex);
    const contrail::restore_report restored = co_await contrail::restore(repository, restorer, dir / "restored");
    CHECK(restored.files == 3);
  });
}
