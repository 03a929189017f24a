// The rival of pagestore's durable commits: SQLite, WAL, synchronous=FULL, a row of 100 bytes in each of two tables per transaction.
//   bench_commits make FILE MIB
//   bench_commits run FILE WRITERS SECONDS busy|queued
// busy: writers meet in SQLite's own busy handler, and its checkpoints are as they come (1000 pages). queued: they take turns at a mutex,
// and checkpoints come at 64 MiB of log, as pagestore's do. Each writer is a thread with a connection of its own. Prints JSON.
#include "bench_sqlite.hpp"
#include "latencies.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using bench_sqlite::database;
using bench_sqlite::statement;
using latencies::now_ns;
using latencies::sample;

constexpr int open_flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;   // a connection has one thread
constexpr std::size_t row_bytes = 100;
constexpr std::int64_t rows_per_mib = 4700;   // of each of the two tables

void make(const std::string& file, std::int64_t mib) {
  const database db(file, open_flags);
  db.run("PRAGMA page_size=4096");
  db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
  const std::string rows = std::to_string(mib * rows_per_mib);
  for (const std::string table : {"a", "b"}) {
    db.run("CREATE TABLE " + table + "(id INTEGER PRIMARY KEY, v BLOB)");
    db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + rows + ") INSERT INTO " + table +
           " SELECT i, randomblob(" + std::to_string(row_bytes) + ") FROM n");
  }
  db.run("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)");
}

class contest {
 public:
  contest(std::string file, bool queued) : file_(std::move(file)), queued_(queued) {
    const database db(file_, open_flags);
    rows_ = statement(db, "SELECT max(id) FROM a").number();
    // Read once, so that nothing has to come from the disk later.
    statement(db, "SELECT sum(length(v)) FROM a").number();
    statement(db, "SELECT sum(length(v)) FROM b").number();
  }

  void run(unsigned count, double seconds) {
    std::vector<std::vector<sample>> samples(count);
    std::vector<std::exception_ptr> failures(count);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        try {
          write(i, samples[i]);
        } catch (...) {
          failures[i] = std::current_exception();
          stop_ = true;
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 4));
    const std::uint64_t begun = now_ns();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    const std::uint64_t ended = now_ns();
    stop_ = true;
    for (std::thread& t : threads) t.join();
    for (const std::exception_ptr& f : failures)
      if (f) std::rethrow_exception(f);
    std::vector<sample> all;
    for (const auto& s : samples) all.insert(all.end(), s.begin(), s.end());
    std::printf("{%s, %s}\n", latencies::told(std::move(all), begun, ended).c_str(), latencies::resources().c_str());
  }

 private:
  void write(unsigned number, std::vector<sample>& samples) {
    const database db(file_, open_flags);
    db.run("PRAGMA synchronous=FULL");
    db.run(queued_ ? "PRAGMA wal_autocheckpoint=16384" : "PRAGMA wal_autocheckpoint=1000");
    db.run("PRAGMA cache_size=-65536");
    const statement begin(db, "BEGIN IMMEDIATE"), commit(db, "COMMIT");
    const statement a(db, "UPDATE a SET v = ?1 WHERE id = ?2"), b(db, "UPDATE b SET v = ?1 WHERE id = ?2");
    std::mt19937_64 random(now_ns() + number);   // what a row holds already is not written again
    std::array<std::uint64_t, row_bytes / 8 + 1> content{};
    samples.reserve(std::size_t{1} << 16);
    while (!stop_) {
      sample s;
      s.begun = now_ns();
      std::unique_lock turn(turn_, std::defer_lock);
      if (queued_) turn.lock();
      begin.run();
      for (const statement* const update : {&a, &b}) {
        for (std::uint64_t& word : content) word = random();
        update->bind(1, content.data(), row_bytes);
        update->bind(2, static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows_)) + 1);
        update->run();
      }
      commit.run();
      if (queued_) turn.unlock();
      s.took = now_ns() - s.begun;
      samples.push_back(s);
    }
  }

  const std::string file_;
  const bool queued_;
  std::int64_t rows_ = 0;
  std::atomic<bool> stop_{false};
  std::mutex turn_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 3 && words[0] == "make") {
      make(words[1], std::stoll(words[2]));
    } else if (words.size() == 5 && words[0] == "run" && (words[4] == "busy" || words[4] == "queued")) {
      contest(words[1], words[4] == "queued").run(static_cast<unsigned>(std::stoul(words[2])), std::stod(words[3]));
    } else {
      std::fputs("bench_commits make FILE MIB | run FILE WRITERS SECONDS busy|queued\n", stderr);
      return 2;
    }
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench_commits: %s\n", problem.what());
    return 1;
  }
  return 0;
}
