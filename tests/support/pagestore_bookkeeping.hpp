#pragma once

#include <contrail/backup.hpp>
#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/error.hpp>
#include "support/memory_sink.hpp"
#include "support/pagestore_model.hpp"
#include "support/run.hpp"

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

/// A store whose writers keep books of what they commit and where in the log it stands, so that what a backup holds can be told.
namespace pagestore_books {

using contrail::errc;
using namespace contrail::pagestore;
using pagestore_world::key;
using pagestore_world::state;

inline parameters small_store(const std::filesystem::path& directory, std::mt19937_64& random) {
  parameters p;
  p.directory = directory;
  p.page_size = pagestore_world::model_page_bytes;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.cache_size = random() % 2 == 0 ? 64 : 256;
  p.checkpoint_depth = p.log_file_size * (1 + random() % 3);
  p.circular_logging = random() % 2 == 0;
  p.writes_in_flight = 1 + static_cast<std::uint32_t>(random() % 8);
  p.growth = 16;
  p.lazy_delay = std::chrono::milliseconds(1 + random() % 5);
  return p;
}

class books {
 public:
  explicit books(std::uint64_t seed) : random(seed) {}
  std::mt19937_64 random;
  std::vector<std::pair<std::string, database>> databases;   ///< name in a set, and number
  std::vector<unsigned> usable;                              ///< of these, by index; empty: all
  bool stop = false;
  std::uint64_t commits = 0;

  unsigned any_database() {
    const std::uint64_t n = any(usable.empty() ? databases.size() : usable.size());
    return usable.empty() ? static_cast<unsigned>(n) : usable[static_cast<std::size_t>(n)];
  }
  /// After a crash: those that are not in what was found are gone. False: no moment was like that.
  bool cut_to(const state& found) {
    while (newest() != found) {
      if (history_.empty()) return false;
      history_.erase(std::prev(history_.end()));
    }
    return true;
  }

  void remember(lgpos at, const std::map<key, std::optional<std::uint64_t>>& changes) {
    ++commits;
    history_.emplace(at, changes);
  }
  /// What was committed before a position.
  state before(lgpos end) const {
    state out;
    for (const auto& [at, changes] : history_) {
      if (at >= end) break;
      for (const auto& [k, stamp] : changes) {
        if (stamp) out[k] = *stamp;
        else out.erase(k);
      }
    }
    return out;
  }
  state newest() const { return before(no_end); }
  /// Behind each commit.
  std::vector<lgpos> ends() const {
    std::vector<lgpos> out;
    for (const auto& [at, changes] : history_) out.push_back(lgpos{at.value + 1});
    return out;
  }
  std::uint64_t next_stamp() { return ++stamp_; }
  std::uint64_t any(std::uint64_t n) { return random() % n; }

 private:
  std::map<lgpos, std::map<key, std::optional<std::uint64_t>>> history_;
  std::uint64_t stamp_ = 0;
};

inline asio::awaitable<void> put(transaction& t, database in, page_no n, std::uint64_t stamp) {
  for (const std::size_t where : pagestore_world::stamp_places) co_await t.write(in, n, where, asio::buffer(&stamp, sizeof stamp));
}

/// One transaction: pages are made, changed, freed; some are rolled back.
inline asio::awaitable<void> one_transaction(instance& store, books& b) {
  transaction t = store.begin();
  std::map<key, std::optional<std::uint64_t>> changes;
  const std::uint64_t count = 1 + b.any(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const unsigned db = b.any_database();
    const database in = b.databases[db].second;
    const state now = b.newest();
    std::vector<page_no> there;
    for (const auto& [k, stamp] : now)
      if (k.first == db && changes.count(k) == 0) there.push_back(k.second);
    const std::uint64_t what = there.size() < 40 ? 7 : b.any(there.size() > 150 ? 6 : 8);
    if (what > 5 || there.empty()) {
      const page_no n = co_await t.allocate(in);
      const std::uint64_t stamp = b.next_stamp();
      co_await put(t, in, n, stamp);
      changes[key(db, n)] = stamp;
      continue;
    }
    const page_no n = there[b.any(there.size())];
    if (what == 1 && there.size() > 20) {
      co_await t.free(in, n);
      changes[key(db, n)] = std::nullopt;
    } else {
      const std::uint64_t stamp = b.next_stamp();
      co_await put(t, in, n, stamp);
      changes[key(db, n)] = stamp;
    }
  }
  if (b.any(10) == 0) co_return;
  // Where it stands is known before it is durable: a crash may come in between.
  const commit_info done = co_await t.commit(durability::lazy);
  b.remember(done.at, changes);
  if (b.any(3) == 0) co_await store.make_durable(done.at);
}

/// Until it is told to stop; also rolls and asks for checkpoints.
inline asio::awaitable<void> keep_writing(instance& store, books& b) {
  while (!b.stop) {
    std::exception_ptr failure;
    try {
      co_await one_transaction(store, b);
      const std::uint64_t what = b.any(40);
      if (what == 0) {
        const lgpos first = co_await store.roll();
        static_cast<void>(first);
      } else if (what == 1) {
        co_await store.checkpoint();
      }
    } catch (const contrail::error& e) {
      // Another one has it, or has freed it meanwhile.
      if (e.code() != errc::write_conflict && e.code() != errc::page_not_initialized) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
    auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, std::chrono::microseconds(b.any(800)));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

/// All pages of the databases that are attached.
inline asio::awaitable<state> all_pages(instance& store, std::vector<std::pair<std::string, database>> databases) {
  state out;
  for (unsigned i = 0; i < databases.size(); ++i) {
    const std::uint32_t pages = co_await store.pages(databases[i].second);
    transaction t = store.begin();
    for (page_no n = 2; n <= pages; ++n) {
      std::array<char, pagestore_world::model_page_bytes> page{};
      std::exception_ptr failure;
      bool there = true;
      try {
        const std::size_t got = co_await t.read(databases[i].second, n, 0, asio::buffer(page));
        static_cast<void>(got);
      } catch (const contrail::error& e) {
        there = false;
        if (e.code() != errc::page_not_initialized) failure = std::current_exception();
      }
      if (failure) std::rethrow_exception(failure);
      if (!there) continue;
      std::array<std::uint64_t, 3> stamps{};
      for (std::size_t k = 0; k < stamps.size(); ++k) std::memcpy(&stamps[k], page.data() + pagestore_world::stamp_places[k], sizeof stamps[k]);
      if (stamps[0] != stamps[1] || stamps[1] != stamps[2]) throw pagestore_world::broken("a page with parts of two transactions");
      out.emplace(key(i, n), stamps[0]);
    }
  }
  co_return out;
}

/// The files of a set, written out.
inline contrail::recovery unpack(const memory_set& set, const std::filesystem::path& directory) {
  contrail::recovery work;
  work.directory = directory;
  work.chain.push_back(std::make_shared<const contrail::manifest>(set.info));
  for (const auto& [id, f] : set.files) {
    const std::filesystem::path path = directory / f.info.name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(f.bytes.data(), static_cast<std::streamsize>(f.bytes.size()));
    contrail::restored_file one;
    one.name = f.info.name;
    one.role = f.info.role;
    one.bytes = f.bytes.size();
    one.valid = f.end ? f.end->valid : f.bytes.size();
    work.files.push_back(std::move(one));
  }
  return work;
}

/// What a restored directory holds.
inline state read_restored(const std::filesystem::path& directory, const std::vector<std::pair<std::string, database>>& databases) {
  state out;
  asio::io_context context(1);
  run_on(context, 1, [&]() -> asio::awaitable<void> {
    const auto ex = context.get_executor();
    std::mt19937_64 random(1);
    parameters how = small_store(directory, random);
    instance store = co_await instance::open(ex, how);
    std::vector<std::pair<std::string, database>> there;
    for (const auto& [name, id] : databases) {
      const database d = co_await store.attach(name);
      there.emplace_back(name, d);
    }
    out = co_await all_pages(store, there);
    co_await store.terminate(term_mode::complete);
  });
  return out;
}

}  // namespace pagestore_books
