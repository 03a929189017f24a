#pragma once

#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>
#include "support/pagestore_life.hpp"
#include "support/pagestore_model.hpp"
#include "support/run.hpp"

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// A store of some databases on a simulated disk, random transactions in it, a model beside it, and what must hold after a crash.
namespace pagestore_world {

using contrail::io::crash_mode;
using contrail::io::simulated_disk;

class world {
 public:
  /// Runs a context's handlers until the condition holds; false: it never will.
  using runner = std::function<bool(asio::io_context&, const std::function<bool()>&)>;

  world(std::uint64_t seed, const contrail::io::disk_options& options, runner run) : random_(seed), run_(std::move(run)), disk_(options) {
    how_ = small_store(random_);
  }

  simulated_disk& disk() noexcept { return disk_; }
  parameters& how() noexcept { return how_; }
  const counts& sums() const noexcept { return sums_; }
  /// What happened, a line for each life.
  const std::string& story() const noexcept { return story_; }
  const std::vector<mark>& marks() const noexcept { return marks_; }
  std::uint64_t begun_at() const noexcept { return begun_at_; }
  std::vector<contrail::io::disk_event> events() const;
  bool made(unsigned i) const { return entries_.at(i).made; }
  /// What varies from life to life.
  void vary() { pagestore_world::vary(how_, random_); }

  /// Exactly as it is now, on a disk of its own; this one too goes on with such a disk, so that the same plan gives the same events in both.
  world twin() {
    disk_ = disk_.after_crash(crash_mode::best);
    world out(*this);
    out.disk_ = disk_.after_crash(crash_mode::best);
    return out;
  }
  void crash();
  /// One run of the store: open (with recovery and a look at everything), transactions, an end or a crash in the middle.
  outcome live(const life_plan& plan);

  // Between two lives
  /// The file of a database is away while the store opens, then it is back.
  void without_database(unsigned i);
  /// The file of a database is lost, and the operator knows it.
  void lose_database(unsigned i);
  void without_current_log();
  /// After a clean end: logs and checkpoint are removed.
  void new_log_set();

 private:
  struct entry {
    bool made = false;
    bool attached = false;
    bool leaving = false;        ///< no new transactions
    database id;
    std::optional<state> clean;  ///< what its file had when its header was clean before the store was opened
    bool unsure = false;         ///< an attach has not answered well: the log may have it
    std::string copy;            ///< of its file, from when it was detached once; empty: none
    state copied;                ///< what that holds
  };
  enum class answer : std::uint8_t { given_up, dead };

  // pagestore_lives.hpp
  void tell(const life_plan& plan);
  outcome run(const life_plan& plan);
  asio::awaitable<void> life(asio::any_io_executor ex, contrail::io::file_system fs, life_plan plan);
  asio::awaitable<bool> open_store(instance& store, asio::any_io_executor ex, contrail::io::file_system fs, const life_plan& plan);
  asio::awaitable<void> work(instance& store, asio::any_io_executor ex, const life_plan& plan);
  asio::awaitable<void> end(instance& store, const life_plan& plan);
  asio::awaitable<void> attach_all(instance& store);
  asio::awaitable<void> manage(instance& store, asio::any_io_executor ex, unsigned rounds);
  asio::awaitable<void> change_databases(instance& store);
  asio::awaitable<void> detach_one(instance& store, unsigned i);
  bool replace_file(unsigned i);
  asio::awaitable<void> mend(asio::any_io_executor ex, std::chrono::milliseconds after);
  asio::awaitable<void> recycle(instance& store);
  void destroy_copies(const std::vector<contrail::io::disk_event>& before);
  void lose_name(const std::vector<contrail::io::disk_event>& before);
  void look_before();
  void count_events(const life_plan& plan);
  void require_clean(unsigned i, simulated_disk& disk) const;
  answer judge(const std::system_error& e);
  std::map<std::string, std::string> contents() const;

  static std::string name_of(unsigned i) { return "data" + std::to_string(i) + ".db"; }
  static std::filesystem::path path_of(unsigned i) { return std::filesystem::path("/store") / name_of(i); }
  std::uint64_t any(std::uint64_t n) { return random_() % n; }
  bool usable(unsigned i) const { return entries_[i].attached && !entries_[i].leaving; }
  void begin_mark(place what) { marks_.push_back(mark{what, disk_.operations() - begun_at_, ~std::uint64_t{0}}); }

  // The stamp of a page; nothing when it is not allocated.
  asio::awaitable<std::optional<std::uint64_t>> stamp_of(transaction& t, key k) {
    std::array<std::uint64_t, 3> stamps{};
    std::optional<std::uint64_t> out;
    try {
      // At once: between two reads another transaction may commit.
      std::array<char, model_page_bytes> page{};
      const std::size_t n = co_await t.read(entries_[k.first].id, k.second, 0, asio::buffer(page));
      if (n != model_page_bytes - page_header_bytes) throw broken("a short read");
      for (std::size_t i = 0; i < stamps.size(); ++i) std::memcpy(&stamps[i], page.data() + stamp_places[i], sizeof stamps[i]);
      out = stamps[0];
    } catch (const contrail::error& e) {
      if (e.code() != errc::page_not_initialized) throw;
    }
    if (out && (stamps[0] != stamps[1] || stamps[1] != stamps[2])) throw broken("a page with parts of two transactions");
    co_return out;
  }

  // Where something may be: in the file, or by what was committed. Elsewhere a page in eight is enough, for each "not allocated" is an exception
  // that goes through many coroutines.
  std::set<key> places() const {
    std::set<key> out = model_.touched();
    for (unsigned i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].attached) continue;
      for (const page_no n : data_pages(disk_.read_file(path_of(i)))) out.emplace(i, n);
    }
    return out;
  }

  asio::awaitable<state> all_pages(instance& store) {
    state found;
    const std::set<key> likely = places();
    for (unsigned i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].attached) continue;
      const std::uint32_t pages = co_await store.pages(entries_[i].id);
      transaction t = store.begin();
      for (page_no n = 2; n <= pages; ++n) {
        if (likely.count(key(i, n)) == 0 && any(8) != 0) continue;
        const auto stamp = co_await stamp_of(t, key(i, n));
        if (stamp) found.emplace(key(i, n), *stamp);
      }
    }
    co_return found;
  }
  state attached_part(const state& all) const {
    state out;
    for (const auto& [k, v] : all)
      if (entries_[k.first].attached) out.emplace(k, v);
    return out;
  }

  // Finds the committed state that the store has come back with.
  asio::awaitable<void> look(instance& store) {
    const state found = co_await all_pages(store);
    for (unsigned i = 0; i < entries_.size(); ++i) {
      if (!entries_[i].clean || !entries_[i].attached) continue;
      state mine;
      for (const auto& [k, v] : found)
        if (k.first == i) mine.emplace(k, v);
      if (mine != *entries_[i].clean) throw broken("a database with a clean header needed redo: " + name_of(i) + describe_difference(mine, *entries_[i].clean));
    }
    state all = found;
    all.insert(away_content_.begin(), away_content_.end());
    model_.settle(all);
  }

  asio::awaitable<void> put(transaction& t, key k, std::uint64_t stamp) {
    const database in = entries_[k.first].id;
    for (const std::size_t where : stamp_places) co_await t.write(in, k.second, where, asio::buffer(&stamp, sizeof stamp));
  }
  asio::awaitable<void> allocate(transaction& t, step& mine, unsigned db, page_no span) {
    const page_no hint = static_cast<page_no>(1 + any(span));
    const page_no n = co_await t.allocate(entries_[db].id, hint);
    const std::uint64_t stamp = any(4) == 0 ? 0 : ++last_stamp_;
    if (stamp != 0) co_await put(t, key(db, n), stamp);
    mine.changes[key(db, n)] = stamp;
    mine.allocated.insert(key(db, n));
  }
  asio::awaitable<void> change_something(transaction& t, step& mine, bool wide) {
    std::vector<unsigned> there;
    for (unsigned i = 0; i < entries_.size(); ++i)
      if (usable(i)) there.push_back(i);
    if (there.empty()) co_return;
    const unsigned db = there[any(there.size())];
    const auto what = any(8);
    if (what < 2 || (wide && what > 4)) {
      const page_no span = wide ? 120 : 40;
      co_await allocate(t, mine, db, span);
      co_return;
    }
    state now = model_.newest();
    for (const auto& [k, stamp] : mine.changes) {
      if (stamp) now[k] = *stamp;
      else now.erase(k);
    }
    std::erase_if(now, [this](const auto& one) { return !usable(one.first.first); });
    if (now.empty()) co_return;
    auto at = now.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(any(now.size())));
    const key k = at->first;
    if (what == 2) {
      co_await t.free(entries_[k.first].id, k.second);
      // What it allocated itself nobody hears of; another may have got the page by now.
      if (mine.allocated.erase(k) != 0) mine.changes.erase(k);
      else mine.changes[k] = std::nullopt;
    } else if (what == 3) {
      const auto stamp = co_await stamp_of(t, k);
      static_cast<void>(stamp);
    } else {
      const std::uint64_t stamp = ++last_stamp_;
      co_await put(t, k, stamp);
      mine.changes[k] = stamp;
    }
  }
  asio::awaitable<void> finish(instance& store, transaction& t, step mine, bool alone) {
    commit_info done;
    if (alone && any(2) == 0) {
      // As most users do it: its position is known only when it answers.
      model_.expect(mine);
      done = co_await t.commit(durability::durable);
      model_.expect_nothing();
      if (done.at != lgpos{}) remember(done.at, std::move(mine));
      if (done.at != lgpos{}) model_.confirm(done.at);
      co_return;
    }
    done = co_await t.commit(durability::lazy);
    if (done.at == lgpos{}) co_return;
    remember(done.at, std::move(mine));
    if (any(3) != 0) co_return;
    co_await store.make_durable(done.at);
    model_.confirm(done.at);
  }
  void remember(lgpos at, step mine) {
    model_.remember(at, std::move(mine));
    ++sums_.commits;
  }
  asio::awaitable<void> one_transaction(instance& store, bool alone, bool wide) {
    transaction t = store.begin();
    step mine;
    const auto changes = 1 + any(wide ? 16 : 5);
    for (std::uint64_t i = 0; i < changes; ++i) co_await change_something(t, mine, wide);
    if (any(8) == 0) {
      t.rollback();
      co_return;
    }
    co_await finish(store, t, mine, alone);
  }

  asio::awaitable<void> write(instance& store, life_plan plan) {
    const bool alone = plan.writers == 1;
    for (unsigned i = 0; i < plan.transactions && !died_; ++i) {
      try {
        co_await one_transaction(store, alone, plan.wide);
        const auto what = any(24);
        if (plan.checkpoints && what > 14) {
          co_await store.checkpoint();
        } else if (what == 0 || (plan.rolls && what > 18)) {
          const lgpos first = co_await store.roll();
          static_cast<void>(first);
        } else if (what == 1) {
          co_await store.checkpoint();
        } else if (what < 6 && plan.recycle) {
          co_await recycle(store);
        }
      } catch (const std::system_error& e) {
        // What it changed half is rolled back. A commit without an answer may have come through, unless the store lives on.
        if (judge(e) == answer::given_up && alone) model_.expect_nothing();
      }
    }
  }

  std::mt19937_64 random_;
  parameters how_;
  runner run_;
  simulated_disk disk_;
  std::array<entry, 4> entries_{};
  model model_;
  std::uint64_t last_stamp_ = 0;
  counts sums_;
  std::string story_;
  std::vector<mark> marks_;            ///< of the last life
  std::uint64_t begun_at_ = 0;         ///< operations of the disk
  bool halted_ = false;
  bool refused_ = false;
  bool died_ = false;                  ///< the instance has failed, as it may under faults
  bool faulty_ = false;                ///< this life has some
  unsigned away_ = ~0U;                ///< a database that is not there
  state away_content_;                 ///< of that, when its file is only put aside
};

}  // namespace pagestore_world

#include "support/pagestore_between_lives.hpp"
#include "support/pagestore_lives.hpp"
