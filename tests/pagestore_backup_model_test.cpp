#include "support/pagestore_bookkeeping.hpp"
#include "support/sweep.hpp"
#include "support/temp_directory.hpp"

#include "async/task_group.hpp"
#include "engines/pagestore/format/trailer.hpp"

#include <contrail/manifest.hpp>

#include <catch2/catch.hpp>

#include <functional>

using namespace pagestore_books;
using contrail::backup_options;
using contrail::backup_report;
using contrail::kind;

namespace {

struct taken {
  std::shared_ptr<memory_set> set;
  backup_report report;
  state expected;
};

/// A store with some databases under load, and backups of it meanwhile.
class loaded_store {
 public:
  loaded_store(std::uint64_t seed, const std::filesystem::path& directory) : all(seed), how(small_store(directory, all.random)) {}

  /// `each`: what a backup is to be; called before each.
  std::vector<taken> run(unsigned backups, unsigned writers, const std::function<void(backup_options&, memory_sink&)>& each) {
    std::vector<taken> out;
    asio::io_context context(1);
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const auto ex = context.get_executor();
      instance store = co_await instance::open(ex, how);
      for (const char* name : {"one.db", "two.db", "three.db"}) {
        const database d = co_await store.create(name);
        all.databases.emplace_back(name, d);
      }
      for (unsigned i = 0; i < 60; ++i) co_await one_transaction(store, all);
      {
        const auto mine = co_await asio::this_coro::executor;
        contrail::detail::task_group group(mine);
        for (unsigned i = 0; i < writers; ++i) group.spawn(keep_writing(store, all));
        group.spawn(back_up(store, backups, each, out));
        co_await group.join();
      }
      const statistics sums = co_await store.counters();
      CHECK(sums.invariants_broken == 0);
      co_await store.terminate(term_mode::complete);
    });
    return out;
  }

  books all;
  parameters how;

 private:
  asio::awaitable<void> back_up(instance& store, unsigned backups, std::function<void(backup_options&, memory_sink&)> each, std::vector<taken>& out) {
    std::exception_ptr failure;
    try {
      for (unsigned i = 0; i < backups; ++i) {
        memory_sink sink;
        backup_options options;
        each(options, sink);
        taken one;
        one.report = co_await contrail::backup(store.backup_engine(), sink, options);
        one.set = sink.last;
        const lgpos end = make_lgpos(static_cast<std::uint32_t>(one.set->info.logs.end), 0);
        one.expected = all.before(end);
        CHECK(one.set->broken_rules.empty());
        CHECK_FALSE(one.report.recorded);
        out.push_back(std::move(one));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    all.stop = true;
    if (failure) std::rethrow_exception(failure);
  }
};

std::error_code recover(const contrail::recovery& work, bool prove = true) {
  std::error_code out;
  asio::io_context context(1);
  contrail::recovery copy(work);
  copy.prove = prove;
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    contrail::pagestore_restorer restorer(context.get_executor());
    co_await restorer.check_chain(copy.chain);
    std::exception_ptr failure;
    try {
      const std::vector<std::string> kept = co_await restorer.recover(copy);
      CHECK(kept.size() == 3);
    } catch (const contrail::error& e) {
      out = e.code();
      UNSCOPED_INFO(e.what());
    }
  });
  return out;
}

void flip(const std::filesystem::path& path, std::uint64_t at, std::size_t bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  std::vector<char> content(bytes);
  file.seekg(static_cast<std::streamoff>(at));
  file.read(content.data(), static_cast<std::streamsize>(bytes));
  for (char& c : content) c = static_cast<char>(c ^ 0x5a);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(content.data(), static_cast<std::streamsize>(bytes));
}

}  // namespace

TEST_CASE("pagestore_backup_model: what is restored is what was committed before the end of the logs", "[pagestore_backup_model]") {
  const std::uint64_t step = sweep::step();
  for (std::uint64_t seed = 1; seed <= 24; seed += step) {
    CAPTURE(seed);
    temp_directory dir;
    loaded_store store(seed, dir / "store");
    std::mt19937_64 random(seed * 77);
    const std::vector<taken> sets = store.run(3, 1 + static_cast<unsigned>(random() % 4), [&](backup_options& how, memory_sink& sink) {
      how.what = random() % 3 == 0 ? kind::copy : kind::full;
      how.truncate_logs = how.what == kind::full && random() % 2 == 0;
      how.memory = (std::size_t{1} << 20) * (1 + random() % 8);
      how.lanes = 1 + static_cast<unsigned>(random() % 8);
      how.reads.hold = random() % 2 == 0 ? contrail::hold_policy::always : contrail::hold_policy::on_retry;
      sink.faults->stall_at_write = static_cast<int>(random() % 6);
      sink.faults->stall = std::chrono::milliseconds(random() % 30);
    });
    REQUIRE(sets.size() == 3);
    for (std::size_t i = 0; i < sets.size(); ++i) {
      CAPTURE(i);
      const std::filesystem::path into = dir / ("restored" + std::to_string(i));
      const contrail::recovery work = unpack(*sets[i].set, into);
      CHECK(recover(work) == std::error_code());
      const state found = read_restored(into, store.all.databases);
      CHECK(found.size() > 20);
      CHECK(pagestore_world::describe_difference(sets[i].expected, found) == "; against the last:");
    }
  }
}

TEST_CASE("pagestore_backup_model: a page that the copy has torn is whole again where it changed meanwhile, else the copy is refused",
          "[pagestore_backup_model]") {
  unsigned mended = 0;
  unsigned refused = 0;
  for (std::uint64_t seed = 101; seed <= 104; ++seed) {
    CAPTURE(seed);
    temp_directory dir;
    loaded_store store(seed, dir / "store");
    const std::vector<taken> sets = store.run(1, 3, [&](backup_options&, memory_sink& sink) {
      sink.faults->stall_at_write = 0;
      sink.faults->stall = std::chrono::milliseconds(60);
    });
    const taken& one = sets.at(0);
    std::mt19937_64 random(seed);
    for (unsigned i = 0; i < 12; ++i) {
      const std::filesystem::path into = dir / ("torn" + std::to_string(i));
      const contrail::recovery work = unpack(*one.set, into);
      const std::string& bytes = one.set->find("one.db")->bytes;
      const std::uint64_t pages = bytes.size() / 4096 - 3;
      const page_no n = static_cast<page_no>(1 + random() % pages);
      const std::uint64_t at = page_offset(n, 4096);
      if (std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4096,
                      [](char c) { return c == 0; })) {
        continue;
      }
      flip(into / "one.db", at + 512 * (random() % 8), 512);
      const std::error_code answer = recover(work);
      if (answer) {
        CHECK(answer == errc::read_verify_failure);
        ++refused;
        continue;
      }
      ++mended;
      const state found = read_restored(into, store.all.databases);
      CHECK(pagestore_world::describe_difference(one.expected, found) == "; against the last:");
    }
  }
  CHECK(mended > 0);
  CHECK(refused > 0);
}
