#pragma once

#include <sqlite3.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

/// SQLite in other processes: a database that a backup reads must not be open in the test's own.
namespace contrail::test {

/// Runs `body` in a forked child and gives its exit status; -1 when it was killed. Before the test has threads.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child < 0) {
    throw std::runtime_error("fork");
  }
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (const std::exception& problem) {
      (void)!::write(2, problem.what(), std::char_traits<char>::length(problem.what()));
      (void)!::write(2, "\n", 1);
    }
    ::_exit(code);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The sqlite3 program with an open database. `ask` gives what it printed, errors included.
class sqlite_shell {
 public:
  explicit sqlite_shell(const std::filesystem::path& file) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe");
    }
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      ::dup2(from[1], 2);
      ::execlp("sqlite3", "sqlite3", "-batch", "-cmd", ".timeout 10000", file.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  sqlite_shell(const sqlite_shell&) = delete;
  sqlite_shell& operator=(const sqlite_shell&) = delete;
  ~sqlite_shell() {
    kill();
    ::close(to_);
    ::close(from_);
  }

  std::string ask(const std::string& sql) {
    const std::string mark = "@@" + std::to_string(++count_) + "@@\n";
    // The program sends what it printed after a statement, not after a command.
    const std::string text = sql + "\n.print " + mark + "SELECT 1 WHERE 0;\n";
    if (::write(to_, text.data(), text.size()) != static_cast<::ssize_t>(text.size())) {
      throw std::runtime_error("the sqlite3 program does not listen");
    }
    std::string out;
    while (!out.ends_with(mark)) {
      char piece[4096];
      const ::ssize_t got = ::read(from_, piece, sizeof piece);
      if (got <= 0) {
        throw std::runtime_error("the sqlite3 program ended: " + out);
      }
      out.append(piece, static_cast<std::size_t>(got));
    }
    out.resize(out.size() - mark.size());
    while (out.ends_with('\n')) {
      out.pop_back();
    }
    return out;
  }
  /// As a crash: nothing is closed.
  void kill() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      reap();
    }
  }
  /// Orderly: the connection is closed.
  void quit() {
    ::close(to_);
    to_ = -1;
    reap();
  }
  pid_t process() const { return child_; }

 private:
  void reap() {
    int status = 0;
    while (child_ > 0 && ::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
  }
  pid_t child_ = -1;
  int to_ = -1;
  int from_ = -1;
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
