#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>
#include <string>

/// Databases to back up. Their connections belong to the test's process, the program runs in another.
namespace contrail::test {

class database {
 public:
  explicit database(const std::filesystem::path& file) {
    if (sqlite3_open(file.string().c_str(), &handle_) != SQLITE_OK) {
      throw std::runtime_error("cannot open " + file.string());
    }
    sqlite3_busy_timeout(handle_, 10000);
  }
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  ~database() { sqlite3_close(handle_); }

  void run(const std::string& sql) {
    char* text = nullptr;
    if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, &text) != SQLITE_OK) {
      const std::string why = text == nullptr ? "?" : text;
      sqlite3_free(text);
      throw std::runtime_error(sql.substr(0, 60) + ": " + why);
    }
  }
  /// First column of the first row, as text.
  std::string ask(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(handle_));
    }
    std::string out;
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != nullptr) {
      out = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return out;
  }

 private:
  sqlite3* handle_ = nullptr;
};

/// A database with `rows` rows of about 1000 bytes in the table t. Closed again, so there is no log beside it.
inline void make_database(const std::filesystem::path& file, int rows, const std::string& journal = "wal", int page_bytes = 4096) {
  database made(file);
  made.run("PRAGMA page_size=" + std::to_string(page_bytes));
  made.run("PRAGMA journal_mode=" + journal);
  made.run("PRAGMA synchronous=OFF");
  made.run("CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB)");
  made.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" + std::to_string(rows) +
           ") INSERT INTO t SELECT i, randomblob(1000) FROM n");
}

/// What the database says of itself: "ok", and how many rows t has.
inline std::string check_database(const std::filesystem::path& file) {
  database opened(file);
  return opened.ask("PRAGMA integrity_check") + " " + opened.ask("SELECT count(*) FROM t");
}

}  // namespace contrail::test
