#include "engines/pagestore/format/database_header.hpp"
#include "support/pagestore_scene.hpp"
#include "support/pagestore_texts.hpp"

#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/inspect.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

// Names that are used again, and files that are put in place of others while the store goes on; then it is killed.

using namespace contrail::pagestore;
using contrail::errc;
using contrail::io::crash_mode;
using contrail::io::simulated_disk;
using namespace pagestore_texts;
using pagestore_scene::small_instance;

namespace {

using work = std::function<asio::awaitable<void>(asio::any_io_executor, contrail::io::file_system)>;

void on(simulated_disk& disk, const work& what) {
  pagestore_scene::run_bounded([&](asio::any_io_executor ex) { return what(ex, disk.mount(ex)); });
}

/// What the store says of this database and these pages; "refused: ..." when it does not open.
std::string after(simulated_disk& disk, const std::string& name, page_no one, page_no other = 0, const parameters& how = small_instance()) {
  std::string found;
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    try {
      instance store = co_await instance::open(ex, how, &fs);
      const database d = co_await store.attach(name);
      found = co_await get(store, d, one);
      if (other != 0) {
        const std::string second = co_await get(store, d, other);
        found += " " + second;
      }
      co_await store.terminate();
    } catch (const contrail::error& e) {
      found = "refused: " + std::to_string(e.code().value()) + " " + e.what();
    }
  });
  return found;
}

void copy(simulated_disk& disk, const std::string& from, const std::string& to) { disk.write_file(to, disk.read_file(from)); }

/// Databases of which there is a copy from when they were detached.
struct with_copy {
  simulated_disk disk;
  page_no p = 0, q = 0;
};
constexpr const char* file = "/store/x.db";
constexpr const char* saved = "/saved/x.db";

asio::awaitable<database> begin(with_copy& w, instance& store) {
  database x = co_await store.create("x.db");
  w.p = co_await add(store, x, "000");
  w.q = co_await add(store, x, "000");
  co_await store.detach(x);
  copy(w.disk, file, saved);
  x = co_await store.attach("x.db");
  co_return x;
}

}  // namespace

TEST_CASE("pagestore_replaced: histories of a file that was put back are not mixed", "[pagestore_replaced]") {
  // How it ends: detached and put back; attached, with the power failing before that reached the header; attached and used.
  const std::string end = GENERATE(std::string("detached"), std::string("attaching"), std::string("used"));
  const bool back_to_front = GENERATE(false, true);
  INFO(end << ", the other order " << back_to_front);
  with_copy w;
  on(w.disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await begin(w, store);
    const page_no first = back_to_front ? w.q : w.p;
    co_await put(store, x, first, "AAA");
    if (back_to_front) co_await put(store, x, w.p, "AAA");
    co_await store.detach(x);
    copy(w.disk, saved, file);
    x = co_await store.attach("x.db");
    co_await put(store, x, w.p, "BBB", w.q);   // both or none
    if (back_to_front) co_await put(store, x, w.q, "CCC");
    co_await store.detach(x);
    copy(w.disk, saved, file);
    if (end != "detached") x = co_await store.attach("x.db");
    if (end == "used") co_await put(store, x, w.p, "DDD", w.q);
    co_await store.terminate(term_mode::dirty);
    if (end == "attaching") copy(w.disk, saved, file);
  });
  CHECK(after(w.disk, "x.db", w.p, w.q) == (end == "used" ? "DDD DDD" : "000 000"));
}

TEST_CASE("pagestore_replaced: a copy that was taken from a database in use is refused later, or left alone", "[pagestore_replaced]") {
  const bool attached = GENERATE(true, false);
  with_copy w;
  on(w.disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await begin(w, store);
    const std::string raw = w.disk.read_file(file);
    co_await put(store, x, w.p, "AAA");
    co_await store.detach(x);
    copy(w.disk, saved, file);
    x = co_await store.attach("x.db");
    co_await put(store, x, w.p, "BBB", w.q);
    if (!attached) co_await store.detach(x);
    co_await store.terminate(term_mode::dirty);
    w.disk.write_file(file, raw);
  });
  const std::string raw = w.disk.read_file(file);
  // -543: not the file that the log means. -550: nobody's any more.
  CHECK(after(w.disk, "x.db", w.p, w.q).substr(0, 13) == (attached ? "refused: -543" : "refused: -550"));
  CHECK((w.disk.read_file(file) == raw));
}

TEST_CASE("pagestore_replaced: a name is used again, before and behind a checkpoint", "[pagestore_replaced]") {
  const bool round = GENERATE(false, true);
  simulated_disk disk;
  page_no n = 0, other = 0;
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    const database y = co_await store.create("y.db");
    other = co_await add(store, y, "yyy");
    database x = co_await store.create("x.db");
    n = co_await add(store, x, "one");
    if (round) co_await store.checkpoint();
    co_await store.detach(x);
    disk.remove(file);
    x = co_await store.create("x.db");
    n = co_await add(store, x, "two");
    co_await store.terminate(term_mode::dirty);
  });
  simulated_disk copied = disk.after_crash(crash_mode::worst);
  CHECK(after(copied, "x.db", n) == "two");
  CHECK(after(disk, "x.db", n) == "two");
  CHECK(after(disk, "y.db", other) == "yyy");
}

TEST_CASE("pagestore_replaced: two databases change names", "[pagestore_replaced]") {
  simulated_disk disk;
  page_no p = 0, q = 0;
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await store.create("x.db");
    p = co_await add(store, x, "one");
    database y = co_await store.create("y.db");
    q = co_await add(store, y, "two");
    co_await store.detach(x);
    co_await store.detach(y);
    const std::string of_x = disk.read_file(file);
    copy(disk, "/store/y.db", file);
    disk.write_file("/store/y.db", of_x);
    x = co_await store.attach("x.db");
    y = co_await store.attach("y.db");
    co_await put(store, x, q, "new");
    co_await store.terminate(term_mode::dirty);
  });
  CHECK(after(disk, "x.db", q) == "new");
  CHECK(after(disk, "y.db", p) == "one");
}

TEST_CASE("pagestore_replaced: the power fails in recovery, and what it has done already is known for that", "[pagestore_replaced]") {
  with_copy w;
  on(w.disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await begin(w, store);
    for (int i = 0; i < 10; ++i) co_await put(store, x, w.p, "n" + std::to_string(i) + "x");
    const lgpos rolled = co_await store.roll();
    CHECK(rolled.generation() == 2);
    co_await store.checkpoint();
    co_await store.detach(x);
    copy(w.disk, saved, file);
    x = co_await store.attach("x.db");
    co_await put(store, x, w.p, "new");
    co_await store.terminate(term_mode::dirty);
  });
  simulated_disk second = w.disk.after_crash(crash_mode::best);
  CHECK(after(w.disk, "x.db", w.p) == "new");
  on(second, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    const simulated_disk before = second.after_crash(crash_mode::best);
    instance store = co_await instance::open(ex, small_instance(), &fs);
    co_await store.terminate(term_mode::dirty);
    // Behind the databases' headers, before the record and the checkpoint.
    for (const auto& [name, bytes] : before.files("/store")) {
      if (name.find("x.db") == std::string::npos) second.write_file("/store/" + name, bytes);
    }
  });
  CHECK(after(second, "x.db", w.p) == "new");
}

TEST_CASE("pagestore_replaced: a name that was given to a file just before is on the disk when commits in it are", "[pagestore_replaced]") {
  simulated_disk disk;
  page_no n = 0;
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await store.create("x.db");
    co_await store.detach(x);
    co_await fs.async_rename(file, "/store/y.db", asio::use_awaitable);
    x = co_await store.attach("y.db");
    n = co_await add(store, x, "new");
    co_await store.checkpoint();
    co_await store.terminate(term_mode::dirty);
  });
  disk.crash(crash_mode::worst);
  CHECK(after(disk, "y.db", n) == "new");
}

TEST_CASE("pagestore_replaced: a database that was let go of keeps nobody from opening the store, whatever became of it", "[pagestore_replaced]") {
  const int what = GENERATE(0, 1, 2);
  simulated_disk disk;
  page_no n = 0;
  disk.make_directory("/other");
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    const database x = co_await store.create("/other/x.db");
    n = co_await add(store, x, "one");
    const database y = co_await store.create("y.db");
    n = co_await add(store, y, "yyy");
    co_await store.detach(x);
    co_await store.terminate(term_mode::dirty);
  });
  disk.remove("/other/x.db");
  if (what == 0) disk.make_directory("/other/x.db");
  if (what == 1) disk.write_file("/other/x.db", std::string(8192, 'x'));
  if (what == 2) {
    disk.remove("/other");
    disk.write_file("/other", "a file");
  }
  CHECK(after(disk, "y.db", n) == "yyy");
}

TEST_CASE("pagestore_replaced: a clean end does not make a store forget databases elsewhere; letting go of them does", "[pagestore_replaced]") {
  simulated_disk disk;
  disk.make_directory("/other");
  const auto listed = [&disk] {
    std::string names;
    on(disk, [&](asio::any_io_executor, contrail::io::file_system fs) -> asio::awaitable<void> {
      const store_facts facts = co_await inspect(fs, "/store");
      for (const database_facts& d : facts.databases) names += d.path.generic_string() + (d.problem.empty() ? " " : "? ");
    });
    return names;
  };
  page_no n = 0;
  on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    const database x = co_await store.create("x.db");
    const database o = co_await store.create("/other/o.db");
    n = co_await add(store, o, "out");
    co_await store.terminate();
    static_cast<void>(x);
  });
  CHECK(listed() == "x.db /other/o.db ");
  CHECK(after(disk, "x.db", 0).substr(0, 8) == "refused:");   // page 0 is none; attached alone, without the other
  CHECK(listed() == "x.db /other/o.db ");
  // The remains of a creation that was cut short are none.
  disk.write_file("/store/y.db.creating", disk.read_file(file));
  CHECK(listed() == "x.db /other/o.db ");
  CHECK(after(disk, "/other/o.db", n) == "out");
  disk.remove("/other/o.db");
  CHECK(listed() == "x.db /other/o.db? ");
}

TEST_CASE("pagestore_replaced: what a file remembers of backups counts only when it goes on where it was let go of", "[pagestore_replaced]") {
  const bool killed = GENERATE(false, true);
  with_copy w;
  on(w.disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
    instance store = co_await instance::open(ex, small_instance(), &fs);
    database x = co_await begin(w, store);
    // As if a full backup had been made: its record, in the header of the copy and of the file.
    co_await store.detach(x);
    for (const char* path : {file, saved}) {
      std::string bytes = w.disk.read_file(path);
      for (const std::size_t at : {std::size_t{0}, std::size_t{4096}}) {
        const auto page = reinterpret_cast<std::byte*>(bytes.data()) + at;
        std::optional<database_header> h = decode_header(const_byte_span(page, 4096));
        REQUIRE(h);
        h->backups[full_previous].low = h->backups[full_previous].high = 1;
        h->backups[full_previous].time = 5;
        encode_header(*h, byte_span(page, 4096));
      }
      w.disk.write_file(path, bytes);
    }
    const auto remembers = [&]() -> asio::awaitable<bool> {
      const store_facts facts = co_await inspect(fs, "/store");
      co_return facts.databases.at(0).full.has_value();
    };
    x = co_await store.attach("x.db");
    const bool goes_on = co_await remembers();
    CHECK(goes_on);
    co_await put(store, x, w.p, "AAA");
    co_await store.detach(x);
    copy(w.disk, saved, file);
    x = co_await store.attach("x.db");
    const bool other = co_await remembers();
    CHECK_FALSE(other);
    if (killed) {
      co_await store.terminate(term_mode::dirty);
      store = co_await instance::open(ex, small_instance(), &fs);
      x = co_await store.attach("x.db");
    }
    const bool later = co_await remembers();
    CHECK_FALSE(later);
    co_await store.terminate();
  });
}

TEST_CASE("pagestore_replaced: the power fails in a roll after databases were let go of; the next generation knows of none", "[pagestore_replaced]") {
  unsigned tried = 0;
  for (std::uint64_t point = 0; point < 100; ++point) {
    simulated_disk disk;
    page_no n = 0;
    bool halted = false;
    {
      auto context = std::make_unique<asio::io_context>(1);
      auto live = [&](asio::any_io_executor ex) -> asio::awaitable<void> {
        contrail::io::file_system fs = disk.mount(ex);
        instance store = co_await instance::open(ex, small_instance(), &fs);
        const database x = co_await store.create("x.db");
        const database y = co_await store.create("y.db");
        n = co_await add(store, y, "old");
        const lgpos first = co_await store.roll();
        CHECK(first.generation() == 2);
        co_await store.detach(x);
        co_await store.detach(y);
        disk.halt_after(point, [&] {
          halted = true;
          context->stop();
        });
        const lgpos second = co_await store.roll();
        CHECK(second.generation() == 3);
        co_await store.terminate(term_mode::dirty);
      };
      asio::co_spawn(*context, live(context->get_executor()), [](std::exception_ptr) {});
      context->run_for(std::chrono::seconds(60));
      context.reset();
    }
    if (!halted) break;
    ++tried;
    disk.crash(crash_mode::best);
    INFO("after " << point << " operations");
    on(disk, [&](asio::any_io_executor ex, contrail::io::file_system fs) -> asio::awaitable<void> {
      instance store = co_await instance::open(ex, small_instance(), &fs);
      const database y = co_await store.attach("y.db");
      co_await put(store, y, n, "new");
      co_await store.terminate(term_mode::dirty);
    });
    CHECK(after(disk, "y.db", n) == "new");
    disk.remove(file);
    CHECK(after(disk, "y.db", n) == "new");
  }
  CHECK(tried > 5);
}
