// What the figures about SQLite need besides the tools under test, each in a process of its own:
//   bench_database make FILE MIB             a table of a million rows of 900 random bytes per GiB, with an index; WAL mode, log merged
//   bench_database write FILE PAUSE_US OUT   one-row updates until standard input ends; then all transactions go to OUT
//   bench_database log FILE MIB              lets the log grow to that length, and keeps it until standard input ends
//   bench_database pin FILE                  holds a read transaction until standard input ends, and does nothing else
// OUT gets two native 64-bit numbers per transaction: begin (CLOCK_MONOTONIC, ns) and duration (ns).
#include "bench_sqlite.hpp"
#include "latencies.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace {

using bench_sqlite::database;
using bench_sqlite::statement;
using latencies::now_ns;

constexpr std::int64_t rows_per_mib = 1000000 / 1024;

void make(const std::string& file, std::int64_t mib) {
  if (std::filesystem::exists(file)) throw std::runtime_error(file + " is there already");
  const database db(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  db.run("PRAGMA page_size=4096");
  db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF");
  db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, k INT, v BLOB); CREATE INDEX t_k ON t(k)");
  const std::int64_t rows = mib * rows_per_mib;
  constexpr std::int64_t at_once = 50000;
  for (std::int64_t done = 0; done < rows; done += at_once) {
    const std::int64_t last = std::min(rows, done + at_once);
    db.run("WITH RECURSIVE n(i) AS (SELECT " + std::to_string(done + 1) + " UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(last) +
           ") INSERT INTO t SELECT i, i, randomblob(900) FROM n");
  }
  db.run("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)");
}

bool input_ended() {
  pollfd in{STDIN_FILENO, POLLIN, 0};
  if (::poll(&in, 1, 0) <= 0) return false;
  char ignored = 0;
  return ::read(STDIN_FILENO, &ignored, 1) <= 0;
}

void ready() {
  std::puts("ready");
  std::fflush(stdout);
}

void write(const std::string& file, std::chrono::microseconds pause, const std::string& log) {
  const database db(file, SQLITE_OPEN_READWRITE);
  db.run("PRAGMA synchronous=NORMAL");
  std::int64_t rows = 0;
  {
    const statement count(db, "SELECT max(id) FROM t");
    rows = count.number();
  }
  const statement update(db, "UPDATE t SET v = randomblob(900) WHERE id = ?1");
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> done;
  done.reserve(std::size_t{1} << 20);
  ready();
  while (!input_ended()) {
    const std::uint64_t begun = now_ns();
    update.bind(1, static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows)) + 1);
    update.run();
    done.push_back(begun);
    done.push_back(now_ns() - begun);
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  std::FILE* const out = std::fopen(log.c_str(), "wb");
  if (out == nullptr || std::fwrite(done.data(), sizeof(std::uint64_t), done.size(), out) != done.size() || std::fclose(out) != 0) {
    throw std::runtime_error("cannot write " + log);
  }
}

void wait_for_end() {
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) > 0) {
  }
}

void grow_log(const std::string& file, std::uintmax_t mib) {
  const database db(file, SQLITE_OPEN_READWRITE);
  db.run("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-4000");
  constexpr std::int64_t at_once = 4000;   // about a thousand pages
  std::int64_t rows = 0;
  {
    const statement count(db, "SELECT max(id) FROM t");
    rows = count.number();
  }
  for (std::int64_t first = 0; !std::filesystem::exists(file + "-wal") || std::filesystem::file_size(file + "-wal") < mib << 20;
       first = (first + at_once) % rows) {
    db.run("UPDATE t SET v = randomblob(900) WHERE id BETWEEN " + std::to_string(first) + " AND " + std::to_string(first + at_once));
  }
  ready();
  wait_for_end();
}

void pin(const std::string& file) {
  const database db(file, SQLITE_OPEN_READWRITE);
  db.run("BEGIN");
  const statement any(db, "SELECT count(*) FROM (SELECT 1 FROM t LIMIT 1)");
  any.step();
  any.reset();
  ready();
  wait_for_end();
  db.run("COMMIT");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 3 && words[0] == "make") {
      make(words[1], std::stoll(words[2]));
    } else if (words.size() == 4 && words[0] == "write") {
      write(words[1], std::chrono::microseconds(std::stoll(words[2])), words[3]);
    } else if (words.size() == 3 && words[0] == "log") {
      grow_log(words[1], std::stoull(words[2]));
    } else if (words.size() == 2 && words[0] == "pin") {
      pin(words[1]);
    } else {
      std::fputs("bench_database make FILE MIB | write FILE PAUSE_US OUT | log FILE MIB | pin FILE\n", stderr);
      return 2;
    }
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench_database: %s\n", problem.what());
    return 1;
  }
  return 0;
}
