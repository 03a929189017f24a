#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

/// SQLite as the programs of the figures use it; what fails is thrown.
namespace bench_sqlite {

class database {
 public:
  database(const std::string& file, int flags) {
    if (sqlite3_open_v2(file.c_str(), &db_, flags, nullptr) != SQLITE_OK) throw std::runtime_error(file + ": " + sqlite3_errmsg(db_));
    sqlite3_busy_timeout(db_, 60000);
  }
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  ~database() { sqlite3_close_v2(db_); }
  void run(const std::string& sql) const {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throw std::runtime_error(sql + ": " + sqlite3_errmsg(db_));
  }
  sqlite3* get() const { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

class statement {
 public:
  statement(const database& db, const std::string& sql) {
    if (sqlite3_prepare_v2(db.get(), sql.c_str(), -1, &handle_, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sql + ": " + sqlite3_errmsg(db.get()));
    }
  }
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  ~statement() { sqlite3_finalize(handle_); }
  void bind(int place, std::int64_t value) const { sqlite3_bind_int64(handle_, place, value); }
  /// `content` stays until the statement is bound anew.
  void bind(int place, const void* content, std::size_t bytes) const { sqlite3_bind_blob(handle_, place, content, static_cast<int>(bytes), SQLITE_STATIC); }
  /// Is there a row?
  bool step() const {
    const int code = sqlite3_step(handle_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(sqlite3_db_handle(handle_)));
    return code == SQLITE_ROW;
  }
  void reset() const { sqlite3_reset(handle_); }
  /// To its end, whatever it answers.
  void run() const {
    while (step()) {
    }
    reset();
  }
  /// Of the first row, which there must be.
  std::int64_t number() const {
    if (!step()) throw std::runtime_error("no row");
    const std::int64_t out = sqlite3_column_int64(handle_, 0);
    reset();
    return out;
  }

 private:
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace bench_sqlite
