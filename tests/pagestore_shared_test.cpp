#include "support/pagestore_scene.hpp"

#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

using namespace pagestore_scene;
using contrail::io::crash_mode;

namespace {

struct attempt {
  attempt() = default;
  database got;
  std::error_code code;
  bool over = false;
};

asio::awaitable<void> try_attach(instance& store, std::filesystem::path path, attempt& out) {
  try {
    out.got = co_await store.attach(path);
  } catch (const std::system_error& e) {
    out.code = e.code();
  }
  out.over = true;
}
asio::awaitable<void> try_create(instance& store, std::filesystem::path path, attempt& out) {
  try {
    out.got = co_await store.create(path);
  } catch (const std::system_error& e) {
    out.code = e.code();
  }
  out.over = true;
}
void beside(asio::any_io_executor ex, asio::awaitable<void> work) {
  asio::co_spawn(ex, std::move(work), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
}
asio::awaitable<void> turns(asio::any_io_executor ex, unsigned count) {
  for (unsigned i = 0; i < count; ++i) co_await asio::post(ex, asio::use_awaitable);
}
asio::awaitable<void> until_over(asio::any_io_executor ex, const attempt& one) {
  while (!one.over) co_await turns(ex, 1);
}

std::vector<std::uint64_t> some_seeds() {
  std::vector<std::uint64_t> out;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) out.push_back(seed);
  return out;
}

}  // namespace

TEST_CASE("pagestore_shared: of two instances that attach a database at once one gets it", "[pagestore_shared]") {
  for (const std::uint64_t seed : some_seeds()) {
    contrail::io::disk_options options;
    options.seed = seed;
    simulated_disk disk(options);
    page_no n = 0;
    bool first_won = false;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance a = co_await instance::open(ex, small_instance("/a"), &fs);
      instance b = co_await instance::open(ex, small_instance("/b"), &fs);
      const database d = co_await a.create("/x.db");
      n = co_await one_page(a, d, 1);
      co_await a.detach(d);
      attempt one, two;
      beside(ex, try_attach(a, "/x.db", one));
      co_await turns(ex, static_cast<unsigned>(seed) % 4);
      beside(ex, try_attach(b, "/x.db", two));
      co_await until_over(ex, one);
      co_await until_over(ex, two);
      INFO("seed " << seed << ": " << one.code.message() << ", " << two.code.message());
      first_won = !one.code;
      CHECK(first_won != !two.code);
      const std::error_code refused = first_won ? two.code : one.code;
      CHECK(refused == errc::file_access_denied);
      instance& owner = first_won ? a : b;
      const database owned = first_won ? one.got : two.got;
      co_await overwrite(owner, owned, n, 2);
      // Let go of, it is the other one's for the asking.
      instance& other = first_won ? b : a;
      co_await owner.detach(owned);
      const database moved = co_await other.attach("/x.db");
      const bool there = co_await holds(other, moved, n, 2);
      CHECK(there);
      co_await overwrite(other, moved, n, 3);
      co_await a.terminate(term_mode::dirty);
      co_await b.terminate(term_mode::dirty);
    });
    disk.crash(crash_mode::worst);
    const finding found = look(disk, small_instance(first_won ? "/b" : "/a"), of_page("/x.db", n, 3), true);
    CHECK(found.words() == "");
  }
}

TEST_CASE("pagestore_shared: a database that an instance has is refused to others, after its crash also while it recovers", "[pagestore_shared]") {
  simulated_disk disk;
  page_no n = 0;
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance a = co_await instance::open(ex, small_instance("/a"), &fs);
    instance b = co_await instance::open(ex, small_instance("/b"), &fs);
    const database d = co_await a.create("/x.db");
    n = co_await one_page(a, d, 1);
    const std::error_code attached = co_await code_of(dropped(b.attach("/x.db")));
    CHECK(attached == errc::file_access_denied);
    const std::error_code made = co_await code_of(dropped(b.create("/x.db")));
    CHECK(made == std::errc::file_exists);
    co_await a.terminate(term_mode::dirty);
    // Nobody holds it, and it is not clean.
    const std::error_code dirty = co_await code_of(dropped(b.attach("/x.db")));
    CHECK(dirty == errc::database_dirty_shutdown);
    instance again = co_await instance::open(ex, small_instance("/a"), &fs);
    const database back = co_await again.attach("/x.db");
    const bool there = co_await holds(again, back, n, 1);
    CHECK(there);
    co_await again.terminate();
    const database moved = co_await b.attach("/x.db");
    const bool whole = co_await holds(b, moved, n, 1);
    CHECK(whole);
    co_await b.terminate();
  });
}

TEST_CASE("pagestore_shared: of two instances that make a database at once at most one gets it, and nobody gets the other one's", "[pagestore_shared]") {
  unsigned made = 0;
  for (unsigned wait = 0; wait < 400; wait += 3) {
    contrail::io::disk_options options;
    options.seed = wait + 1;
    simulated_disk disk(options);
    page_no n = 0;
    std::string owner;
    run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
      contrail::io::file_system fs = disk.mount(ex);
      instance a = co_await instance::open(ex, small_instance("/a"), &fs);
      instance b = co_await instance::open(ex, small_instance("/b"), &fs);
      attempt one, two;
      beside(ex, try_create(a, "/x.db", one));
      co_await turns(ex, wait);
      beside(ex, try_create(b, "/x.db", two));
      co_await until_over(ex, one);
      co_await until_over(ex, two);
      INFO("after " << wait << " turns: " << one.code.message() << ", " << two.code.message());
      CHECK((one.code || two.code));
      const bool first_won = !one.code;
      attempt* won = first_won ? &one : &two;
      if (one.code && two.code) {
        // Each has spoiled the other's: the remains make way.
        attempt third;
        co_await try_create(a, "/x.db", third);
        CHECK(third.code == std::error_code());
        one = third;
        won = &one;
      } else {
        ++made;
      }
      owner = won == &one ? "/a" : "/b";
      instance& store = won == &one ? a : b;
      n = co_await one_page(store, won->got, 1);
      co_await a.terminate(term_mode::dirty);
      co_await b.terminate(term_mode::dirty);
    });
    disk.crash(crash_mode::worst);
    const finding found = look(disk, small_instance(owner), of_page("/x.db", n, 1), true);
    CHECK(found.words() == "");
  }
  INFO(made);
  CHECK(made > 20);
}

namespace {

/// An instance makes a database, which is copied while it is in use; it is let go of, another instance changes it or not, it comes back, the
/// instance is killed, and perhaps the copy put in its place.
struct travelled {
  travelled() = default;
  simulated_disk disk;
  page_no n = 0, m = 0;
  std::uint64_t in_m = 0;
  std::string right;   ///< the file as it was when the instance was killed
};

travelled travel(bool elsewhere, bool old_copy) {
  travelled out;
  std::string copy;
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = out.disk.mount(ex);
    instance a = co_await instance::open(ex, small_instance("/a"), &fs);
    database d = co_await a.create("/x.db");
    out.n = co_await one_page(a, d, 1);
    out.m = co_await one_page(a, d, 2);
    co_await a.checkpoint();
    copy = out.disk.read_file("/x.db");
    co_await overwrite(a, d, out.m, 3);
    co_await a.detach(d);
    out.in_m = 3;
    if (elsewhere) {
      instance b = co_await instance::open(ex, small_instance("/b"), &fs);
      d = co_await b.attach("/x.db");
      co_await overwrite(b, d, out.m, 4);
      out.in_m = 4;
      co_await b.detach(d);
      co_await b.terminate();
    }
    d = co_await a.attach("/x.db");
    co_await overwrite(a, d, out.n, 10);
    co_await a.terminate(term_mode::dirty);
  });
  out.disk.crash(crash_mode::worst);
  out.right = out.disk.read_file("/x.db");
  if (old_copy) out.disk.write_file("/x.db", copy);
  return out;
}

}  // namespace

TEST_CASE("pagestore_shared: an older copy of a file in use is refused, whether other logs had a part in what it lacks or not", "[pagestore_shared]") {
  for (const bool elsewhere : {false, true}) {
    for (const bool old_copy : {false, true}) {
      INFO("elsewhere " << elsewhere << ", old copy " << old_copy);
      travelled t = travel(elsewhere, old_copy);
      content expected = of_page("/x.db", t.n, 10);
      expected[{"/x.db", t.m}] = payload_of(t.in_m);
      if (!old_copy) {
        const finding found = look(t.disk, small_instance("/a"), expected, true);
        CHECK(found.words() == "");
        continue;
      }
      const finding found = look(t.disk, small_instance("/a"), expected, false);
      CHECK(found.wrong == "");
      REQUIRE(found.failures.size() == 1);
      CHECK(found.failures[0].code == errc::required_log_files_missing);
      CHECK(is_path_of(found.failures[0].file, "x.db"));
      // With the file that belongs there nothing is lost.
      t.disk.write_file("/x.db", t.right);
      const finding whole = look(t.disk, small_instance("/a"), expected, true);
      CHECK(whole.words() == "");
    }
  }
}
