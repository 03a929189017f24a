#include "bank.hpp"

#include "bank_process.hpp"

#include <sqlite3.h>

#include <array>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <thread>

namespace contrail::bank {

namespace {

constexpr int opening_balance = 1000;

class connection {
 public:
  connection(const std::filesystem::path& file, int flags) {
    const int code = sqlite3_open_v2(file.string().c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) {
      const std::string why = sqlite3_errmsg(db_);
      sqlite3_close_v2(db_);
      throw std::runtime_error(file.string() + ": " + why);
    }
    sqlite3_busy_timeout(db_, 30000);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() { sqlite3_close_v2(db_); }

  void run(const std::string& sql) const {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sql.substr(0, 60) + ": " + sqlite3_errmsg(db_));
    }
  }
  sqlite3* get() const noexcept { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

class statement {
 public:
  statement(const connection& on, const std::string& sql) : db_(on.get()) {
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &handle_, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sql.substr(0, 60) + ": " + sqlite3_errmsg(db_));
    }
  }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() { sqlite3_finalize(handle_); }

  void bind(int column, std::int64_t value) const { sqlite3_bind_int64(handle_, column, value); }
  bool step() const {
    const int code = sqlite3_step(handle_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      throw std::runtime_error(sqlite3_errmsg(db_));
    }
    return code == SQLITE_ROW;
  }
  void run() const {
    step();
    sqlite3_reset(handle_);
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(handle_, column); }
  std::string text(int column) const {
    const auto* const value = sqlite3_column_text(handle_, column);
    return value != nullptr ? reinterpret_cast<const char*>(value) : "";
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* handle_ = nullptr;
};

void check_into(const std::filesystem::path& file, findings& out) {
  const connection db(file, SQLITE_OPEN_READWRITE);
  const statement integrity(db, "PRAGMA integrity_check(1)");
  if (!integrity.step() || integrity.text(0) != "ok") {
    out.problem = "integrity check: " + integrity.text(0);
    return;
  }
  const statement journal(db, "SELECT writer, min(seq), max(seq), count(DISTINCT seq), count(*), sum(line = 0) FROM journal GROUP BY writer");
  while (journal.step()) {
    const auto writer = journal.number(0);
    const auto last = journal.number(2);
    if (writer < 0 || writer >= most_writers || journal.number(1) != 1 || journal.number(3) != last || journal.number(5) != last) {
      out.problem = "the journal of writer " + std::to_string(writer) + " has gaps: " + std::to_string(journal.number(3)) +
                    " transactions up to number " + std::to_string(last);
      return;
    }
    out.last[static_cast<std::size_t>(writer)] = static_cast<std::uint64_t>(last);
    out.transactions += static_cast<std::uint64_t>(last);
  }
  const statement torn(db, "SELECT count(*) FROM (SELECT 1 FROM journal GROUP BY writer, seq HAVING count(*) <> max(lines))");
  if (!torn.step() || torn.number(0) != 0) {
    out.problem = std::to_string(torn.number(0)) + " transactions are there in part";
    return;
  }
  const statement balances(db,
                           "SELECT count(*) FROM account LEFT JOIN (SELECT who, sum(what) AS moved FROM (SELECT source AS who, -amount AS what FROM "
                           "journal UNION ALL SELECT target, amount FROM journal) GROUP BY who) ON who = id WHERE balance <> " +
                               std::to_string(opening_balance) + " + coalesce(moved, 0)");
  if (!balances.step() || balances.number(0) != 0) {
    out.problem = std::to_string(balances.number(0)) + " balances do not follow from the journal";
    return;
  }
  out.sound = true;
}

void copy_file(const std::filesystem::path& from, const std::filesystem::path& to, std::uint64_t bytes_per_second) {
  std::ifstream in(from, std::ios::binary);
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  std::vector<char> piece(32768);
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t moved = 0;
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    out.write(piece.data(), in.gcount());
    moved += static_cast<std::uint64_t>(in.gcount());
    if (bytes_per_second != 0) {
      std::this_thread::sleep_until(begun + std::chrono::microseconds(moved * 1000000 / bytes_per_second));
    }
  }
  if (!in.eof() || !out.flush()) {
    throw std::runtime_error("cannot copy " + from.string() + " to " + to.string());
  }
}

}  // namespace

void create(const std::filesystem::path& file, const create_options& options) {
  if (std::filesystem::exists(file)) {
    throw std::runtime_error(file.string() + " is there already");
  }
  const connection db(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  db.run("PRAGMA page_size=" + std::to_string(options.page_bytes));
  db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  db.run("CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, padding BLOB)");
  db.run("CREATE TABLE journal(writer INTEGER, seq INTEGER, line INTEGER, lines INTEGER, source INTEGER, target INTEGER, amount INTEGER, "
         "PRIMARY KEY(writer, seq, line)) WITHOUT ROWID");
  db.run("CREATE INDEX journal_source ON journal(source); CREATE INDEX journal_target ON journal(target)");
  db.run("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(options.accounts - 1) +
         ") INSERT INTO account SELECT i, " + std::to_string(opening_balance) + ", randomblob(" + std::to_string(options.padding) + ") FROM n");
}

namespace {

/// A writer, in its process.
struct clerk {
  writers_state& state;

  void note_latency(std::chrono::steady_clock::duration took) noexcept {
    const std::int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    std::int64_t known = state.worst_us.load();
    while (us > known && !state.worst_us.compare_exchange_weak(known, us)) {
    }
  }

  void write(unsigned writer, const std::filesystem::path& file, const writer_options& options) {
    const connection db(file, SQLITE_OPEN_READWRITE);
    db.run("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=" + std::to_string(options.checkpoint_pages));
    std::int64_t accounts = 0;
    std::int64_t next = 1;
    {
      const statement ask(db, "SELECT (SELECT count(*) FROM account), (SELECT coalesce(max(seq), 0) FROM journal WHERE writer = " +
                                  std::to_string(writer) + ")");
      ask.step();
      accounts = ask.number(0);
      next = ask.number(1) + 1;
    }
    const statement move(db, "UPDATE account SET balance = balance + ?1, padding = randomblob(length(padding)) WHERE id = ?2");
    const statement note(db, "INSERT INTO journal VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    std::minstd_rand random(writer + 1);
    while (!state.stop.load()) {
      const auto begun = std::chrono::steady_clock::now();
      db.run("BEGIN IMMEDIATE");
      for (unsigned line = 0; line < options.transfers; ++line) {
        const auto source = static_cast<std::int64_t>(random()) % accounts;
        const auto target = static_cast<std::int64_t>(random()) % accounts;
        const auto amount = static_cast<std::int64_t>(random() % 50) + 1;
        move.bind(1, -amount);
        move.bind(2, source);
        move.run();
        move.bind(1, amount);
        move.bind(2, target);
        move.run();
        const std::array<std::int64_t, 7> row{writer, next, line, options.transfers, source, target, amount};
        for (std::size_t i = 0; i < row.size(); ++i) {
          note.bind(static_cast<int>(i) + 1, row[i]);
        }
        note.run();
      }
      db.run("COMMIT");
      note_latency(std::chrono::steady_clock::now() - begun);
      state.last[writer].store(static_cast<std::uint64_t>(next));
      ++next;
      std::this_thread::sleep_for(options.pause);
    }
  }

  void run(unsigned writer, const std::filesystem::path& file, const writer_options& options) noexcept {
    try {
      write(writer, file, options);
    } catch (const std::exception& problem) {
      if (!state.stop.exchange(true)) {
        std::strncpy(state.why.data(), problem.what(), state.why.size() - 1);
        state.failed.store(true);
      }
    }
  }
};

}  // namespace

int run_writers(writers_state& state, const std::filesystem::path& file, const writer_options& options) {
  clerk all{state};
  std::vector<std::thread> threads;
  for (unsigned writer = 0; writer < options.writers; ++writer) {
    threads.emplace_back([&all, writer, &file, &options] { all.run(writer, file, options); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return state.failed.load() ? 1 : 0;
}

writers::writers(const std::filesystem::path& file, const writer_options& options) : count_(options.writers) {
  if (count_ == 0 || count_ > most_writers) {
    throw std::runtime_error("1 to " + std::to_string(most_writers) + " writers");
  }
  process_ = start_writers(file, options);
}

writers::~writers() = default;

std::vector<std::uint64_t> writers::acknowledged() const {
  std::vector<std::uint64_t> out(count_);
  for (unsigned i = 0; i < count_; ++i) {
    out[i] = process_->state().last[i].load();
  }
  return out;
}

pace writers::lap() {
  const auto now = std::chrono::steady_clock::now();
  const std::vector<std::uint64_t> each = acknowledged();
  const std::uint64_t all = std::accumulate(each.begin(), each.end(), std::uint64_t{0});
  pace out;
  out.transactions = all - lap_transactions_;
  out.seconds = std::chrono::duration<double>(now - lap_begun_).count();
  out.worst = std::chrono::microseconds(process_->state().worst_us.exchange(0));
  lap_transactions_ = all;
  lap_begun_ = now;
  return out;
}

bool writers::advance(std::uint64_t more, std::chrono::seconds at_most) const {
  const auto from = acknowledged();
  const auto until = std::chrono::steady_clock::now() + at_most;
  while (std::chrono::steady_clock::now() < until && !process_->state().failed.load()) {
    const auto now = acknowledged();
    bool all = true;
    for (unsigned i = 0; i < count_; ++i) {
      all = all && now[i] >= from[i] + more;
    }
    if (all) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

void writers::stop() {
  process_->state().stop.store(true);
  process_->wait();
  if (process_->state().failed.load()) {
    throw std::runtime_error(std::string("a writer failed: ") + process_->state().why.data());
  }
}

void writers::kill() { process_->kill(); }

findings check(const std::filesystem::path& file) {
  findings out;
  out.last.resize(most_writers);
  try {
    check_into(file, out);
  } catch (const std::exception& problem) {
    out.problem = problem.what();
  }
  return out;
}

void plain_copy(const std::filesystem::path& file, const std::filesystem::path& to, std::uint64_t bytes_per_second) {
  copy_file(file, to, bytes_per_second);
  std::filesystem::path log = file;
  log += "-wal";
  if (std::filesystem::exists(log)) {
    std::filesystem::path copy = to;
    copy += "-wal";
    copy_file(log, copy, bytes_per_second);
  }
}

}  // namespace contrail::bank
