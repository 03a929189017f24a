#pragma once

#include "sqlite_shell_process.hpp"

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>
#include <string>

/// SQLite in other processes: a database that a backup reads must not be open in the test's own.
namespace contrail::test {

/// The sqlite3 program with an open database. `ask` gives what it printed, errors included.
class sqlite_shell {
 public:
  explicit sqlite_shell(const std::filesystem::path& file) : process_(file) {}

  std::string ask(const std::string& sql) {
    const std::string mark = "@@" + std::to_string(++count_) + "@@\n";
    // The program sends what it printed after a statement, not after a command.
    process_.write(sql + "\n.print " + mark + "SELECT 1 WHERE 0;\n");
    std::string out;
    while (!out.ends_with(mark)) {
      const std::string piece = process_.read();
      if (piece.empty()) {
        throw std::runtime_error("the sqlite3 program ended: " + out);
      }
      out += piece;
    }
    out.resize(out.size() - mark.size());
    while (out.ends_with('\n')) {
      out.pop_back();
    }
    return out;
  }
  /// As a crash: nothing is closed.
  void kill() { process_.kill(); }
  /// Orderly: the connection is closed.
  void quit() { process_.quit(); }
  auto process() const { return process_.id(); }

 private:
  shell_process process_;
  int count_ = 0;
};

/// One statement, or several, in a process of their own that closes the database again.
inline std::string sqlite_run(const std::filesystem::path& file, const std::string& sql) {
  sqlite_shell shell(file);
  const std::string out = shell.ask(sql);
  shell.quit();
  return out;
}

/// A database in WAL mode with the table t(id, data) of `rows` rows of about 500 bytes. Closed: no log beside it.
inline void make_wal_database(const std::filesystem::path& file, int rows, int page_bytes = 4096) {
  const std::string out = sqlite_run(file, "PRAGMA page_size=" + std::to_string(page_bytes) +
                                               "; PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB);"
                                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" +
                                               std::to_string(rows) + ") INSERT INTO t SELECT i, randomblob(500) FROM n;");
  if (out != "wal") {
    throw std::runtime_error("sqlite3: " + out);
  }
}

inline std::string add_rows(int count) {
  return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" + std::to_string(count) +
         ") INSERT INTO t(data) SELECT randomblob(500) FROM n;";
}

/// "ok <rows> <hash of all rows>" of a database that is nobody's.
inline std::string content_of(const std::filesystem::path& file) {
  return sqlite_run(file, "PRAGMA integrity_check; SELECT count(*), sum(id), sum(length(data)), total(unicode(hex(data))) FROM t;");
}

}  // namespace contrail::test
