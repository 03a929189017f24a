#pragma once

#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>
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
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// A store of two databases on a simulated disk, random transactions in it, a model beside it, and what must hold after a crash.
namespace pagestore_world {

using contrail::errc;
using contrail::io::crash_mode;
using contrail::io::simulated_disk;
using namespace contrail::pagestore;

/// Which page has which content: (database, page) to a stamp; what is missing is not allocated.
using state = std::map<std::pair<unsigned, page_no>, std::uint64_t>;

/// One committed transaction.
struct step {
  step() = default;
  lgpos at;
  std::map<std::pair<unsigned, page_no>, std::optional<std::uint64_t>> changes;   ///< nothing: freed
  std::set<std::pair<unsigned, page_no>> allocated;                               ///< of these
};

/// Something that must never be.
class broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline parameters small_store(std::mt19937_64& random) {
  parameters p;
  p.directory = "/store";
  p.page_size = 4096;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.log_write_unit = random() % 4 == 0 ? 4096 : 512;
  p.cache_size = random() % 2 == 0 ? 64 : 256;
  p.checkpoint_depth = p.log_file_size * (1 + random() % 3);
  p.circular_logging = random() % 2 == 0;
  p.growth = 16;
  p.lazy_delay = std::chrono::milliseconds(1);
  p.writes_in_flight = 1 + static_cast<std::uint32_t>(random() % 8);
  return p;
}

/// What a page with a stamp holds: the stamp in three places, so that half of a write is seen.
constexpr std::size_t stamp_places[] = {0, 1500, 4000};

class world {
 public:
  explicit world(std::uint64_t seed, const contrail::io::disk_options& options)
      : random_(seed), how_(small_store(random_)), disk_(options) {}

  struct life_plan {
    unsigned writers = 3;
    unsigned transactions = 12;                       ///< of each writer
    std::optional<std::uint64_t> power_fails_after;   ///< operations of the disk, from the start of this life
    bool clean_end = false;
  };

  simulated_disk& disk() noexcept { return disk_; }
  const parameters& how() const noexcept { return how_; }
  std::uint64_t committed() const noexcept { return committed_; }
  std::uint64_t recoveries() const noexcept { return recoveries_; }

  /// One run of the store: open (with recovery and a look at everything), transactions, an end or a crash in the middle. False: the power failed.
  bool live(const life_plan& plan) {
    const bool over = run(plan);
    if (!over) {
      disk_.crash(random_() % 6 == 0 ? crash_mode::worst : random_() % 6 == 0 ? crash_mode::best : crash_mode::seeded, random_());
    }
    return over;
  }

 private:
  using key = std::pair<unsigned, page_no>;

  bool run(const life_plan& plan) {
    auto context = std::make_unique<asio::io_context>(1);
    contrail::io::file_system fs = disk_.mount(context->get_executor());
    bool over = false;
    std::exception_ptr failure;
    halted_ = false;
    auto done = [&](std::exception_ptr e) {
      over = true;
      failure = std::move(e);
    };
    disk_.halt_after(std::uint64_t{1} << 60, {});   // that of the last life, if it was not reached
    if (plan.power_fails_after) {
      disk_.halt_after(*plan.power_fails_after, [this, c = context.get()] {
        halted_ = true;
        c->stop();
      });
    }
    asio::co_spawn(*context, life(context->get_executor(), fs, plan), done);
    // Long beyond what a life takes: a bound for the one that never ends.
    context->run_for(std::chrono::seconds(120));
    context.reset();
    if (halted_) return false;
    if (failure) std::rethrow_exception(failure);
    if (!over) throw broken("the store came to a standstill");
    return true;
  }

  asio::awaitable<void> life(asio::any_io_executor ex, contrail::io::file_system fs, life_plan plan) {
    instance store = co_await instance::open(ex, how_, &fs);
    ++recoveries_;
    co_await attach_all(store);
    co_await look(store);
    auto left = std::make_shared<unsigned>(plan.writers);
    auto all = std::make_shared<asio::steady_timer>(ex, asio::steady_timer::time_point::max());
    std::vector<std::exception_ptr> failures(plan.writers);
    for (unsigned w = 0; w < plan.writers; ++w) {
      auto ended = [&failures, w, left, all](std::exception_ptr e) {
        failures[w] = std::move(e);
        if (--*left == 0) all->cancel();
      };
      asio::co_spawn(ex, write(store, plan.transactions), std::move(ended));
    }
    while (*left != 0) {
      try {
        co_await all->async_wait(asio::use_awaitable);
      } catch (const std::system_error&) {
        // Cancelled: they are done.
      }
    }
    for (const auto& f : failures)
      if (f) std::rethrow_exception(f);
    const state seen = co_await all_pages(store);
    const state expected = newest();
    if (seen != expected) throw broken("a running store shows another state than was committed" + describe_difference(expected, seen));
    const statistics sums = co_await store.counters();
    if (sums.invariants_broken != 0) throw broken("the store says that one of its invariants was broken");
    term_mode end = random_() % 2 == 0 ? term_mode::abrupt : term_mode::dirty;
    if (plan.clean_end) end = term_mode::complete;
    co_await store.terminate(end);
    if (plan.clean_end) settle_at_end();
  }

  // All that was committed is on the disk.
  void settle_at_end() {
    confirmed_ = history_.empty() ? confirmed_ : std::max(confirmed_, history_.rbegin()->first);
  }

  asio::awaitable<void> attach_all(instance& store) {
    for (unsigned i = 0; i < ids_.size(); ++i) {
      const std::string name = "data" + std::to_string(i) + ".db";
      if (made_[i]) {
        ids_[i] = co_await store.attach(name);
        continue;
      }
      bool found = false;
      try {
        ids_[i] = co_await store.attach(name);
        found = true;
      } catch (const contrail::error& e) {
        // Its creation was interrupted: it is not there, or is told to be unfinished.
        if (e.code() != errc::file_not_found && e.code() != errc::database_corrupted) throw;
      }
      if (!found) {
        // What is left of an interrupted creation is taken over.
        ids_[i] = co_await store.create(name);
      }
      made_[i] = true;
    }
  }

  static std::string bytes_of(std::uint64_t stamp) { return std::string(reinterpret_cast<const char*>(&stamp), sizeof stamp); }

  // The stamp of a page; nothing when it is not allocated.
  asio::awaitable<std::optional<std::uint64_t>> stamp_of(transaction& t, key k) {
    std::array<std::uint64_t, 3> stamps{};
    std::optional<std::uint64_t> out;
    try {
      // At once: between two reads another transaction may commit.
      std::array<char, 4096> page{};
      const std::size_t n = co_await t.read(ids_[k.first], k.second, 0, asio::buffer(page));
      if (n != 4096 - 40) throw broken("a short read");
      for (std::size_t i = 0; i < stamps.size(); ++i) std::memcpy(&stamps[i], page.data() + stamp_places[i], sizeof stamps[i]);
      out = stamps[0];
    } catch (const contrail::error& e) {
      if (e.code() != errc::page_not_initialized) throw;
    }
    if (out && (stamps[0] != stamps[1] || stamps[1] != stamps[2])) throw broken("a page with parts of two transactions");
    co_return out;
  }

  // Finds the committed state that the store has come back with.
  asio::awaitable<void> look(instance& store) {
    const state found = co_await all_pages(store);
    settle(found);
  }

  asio::awaitable<state> all_pages(instance& store) {
    state found;
    for (unsigned i = 0; i < ids_.size(); ++i) {
      const std::uint32_t pages = co_await store.pages(ids_[i]);
      transaction t = store.begin();
      for (page_no n = 2; n <= pages; ++n) {
        const auto stamp = co_await stamp_of(t, key(i, n));
        if (stamp) found.emplace(key(i, n), *stamp);
      }
    }
    co_return found;
  }

  // Some state k, from the last that was confirmed to the last that was committed. Which one is fixed from now on.
  void settle(const state& found) {
    state s = base_;
    std::vector<std::pair<lgpos, step>> list(history_.begin(), history_.end());
    bool met = list.empty() || list.front().first > confirmed_;
    std::optional<std::size_t> at;
    if ((confirmed_ == lgpos{} || met) && s == found) at = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      apply(s, list[i].second);
      const bool next_confirmed = i + 1 < list.size() && list[i + 1].first <= confirmed_;
      if (!next_confirmed && s == found) at = i + 1;
    }
    if (!at) {
      std::ostringstream text;
      text << "no committed state: " << found.size() << " pages; confirmed up to " << std::hex << confirmed_.value << ", history";
      for (const auto& [p, one] : list) text << ' ' << p.value;
      text << describe_difference(s, found);
      throw broken(text.str());
    }
    base_ = found;
    history_.clear();
    confirmed_ = lgpos{};
  }

  static std::string describe_difference(const state& expected, const state& found) {
    std::ostringstream text;
    text << "; against the last:";
    for (const auto& [k, v] : expected) {
      const auto f = found.find(k);
      if (f == found.end()) text << " -" << k.first << '/' << k.second;
      else if (f->second != v) text << " !" << k.first << '/' << k.second;
    }
    for (const auto& [k, v] : found)
      if (expected.count(k) == 0) text << " +" << k.first << '/' << k.second;
    return text.str();
  }

  static void apply(state& s, const step& one) {
    for (const auto& [k, stamp] : one.changes) {
      if (stamp) s[k] = *stamp;
      else s.erase(k);
    }
  }

  // Pages that may be there: what is committed now, as this process knows it.
  state newest() const {
    state s = base_;
    for (const auto& [p, one] : history_) apply(s, one);
    return s;
  }

  asio::awaitable<void> put(transaction& t, key k, std::uint64_t stamp) {
    for (const std::size_t place : stamp_places) co_await t.write(ids_[k.first], k.second, place, asio::buffer(&stamp, sizeof stamp));
  }

  asio::awaitable<void> change_something(transaction& t, step& mine) {
    const unsigned what = static_cast<unsigned>(random_() % 8);
    const unsigned db = static_cast<unsigned>(random_() % ids_.size());
    if (what < 2) {
      const page_no n = co_await t.allocate(ids_[db], static_cast<page_no>(1 + random_() % 40));
      const std::uint64_t stamp = random_() % 4 == 0 ? 0 : ++last_stamp_;
      if (stamp != 0) co_await put(t, key(db, n), stamp);
      mine.changes[key(db, n)] = stamp;
      mine.allocated.insert(key(db, n));
      co_return;
    }
    state now = newest();
    for (const auto& [k, stamp] : mine.changes) {
      if (stamp) now[k] = *stamp;
      else now.erase(k);
    }
    if (now.empty()) co_return;
    auto at = now.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % now.size()));
    const key k = at->first;
    if (what == 2) {
      co_await t.free(ids_[k.first], k.second);
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

  static bool expected_answer(std::error_code ec) {
    return ec == errc::write_conflict || ec == errc::page_not_initialized || ec == errc::version_store_out_of_memory;
  }

  asio::awaitable<void> one_transaction(instance& store) {
    transaction t = store.begin();
    step mine;
    bool given_up = false;
    const unsigned changes = 1 + static_cast<unsigned>(random_() % 5);
    for (unsigned i = 0; i < changes && !given_up; ++i) {
      try {
        co_await change_something(t, mine);
      } catch (const contrail::error& e) {
        if (!expected_answer(e.code())) throw;
        given_up = true;   // a page may have half of the stamps
      }
    }
    if (given_up || random_() % 8 == 0) {
      t.rollback();
      co_return;
    }
    // What was allocated and freed again nobody hears of.
    commit_info done;
    if (random_() % 3 == 0) {
      // As most users do it; how far it came is not known when the power fails before it returns, so it is noted as lazy first by position.
      done = co_await t.commit(durability::lazy);
      if (done.at != lgpos{}) remember(done.at, mine);
      if (done.at != lgpos{}) {
        co_await store.make_durable(done.at);
        confirmed_ = std::max(confirmed_, done.at);
      }
    } else {
      done = co_await t.commit(durability::lazy);
      if (done.at != lgpos{}) remember(done.at, mine);
    }
  }

  void remember(lgpos at, step mine) {
    mine.at = at;
    history_.emplace(at, std::move(mine));
    ++committed_;
  }

  asio::awaitable<void> write(instance& store, unsigned transactions) {
    for (unsigned i = 0; i < transactions; ++i) {
      co_await one_transaction(store);
      const auto what = random_() % 24;
      if (what == 0) {
        const lgpos first = co_await store.roll();
        static_cast<void>(first);
      } else if (what == 1) {
        co_await store.checkpoint();
      }
    }
  }

  std::mt19937_64 random_;
  parameters how_;
  simulated_disk disk_;
  std::array<database, 2> ids_{};
  std::array<bool, 2> made_{};
  state base_;                         ///< at the last look
  std::map<lgpos, step> history_;      ///< since then
  lgpos confirmed_;
  std::uint64_t last_stamp_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t recoveries_ = 0;
  bool halted_ = false;
};

}  // namespace pagestore_world
