#pragma once

#include "support/sqlite_processes.hpp"
#include "support/temp_directory.hpp"

#include <contrail/backup.hpp>
#include <contrail/engines/sqlite.hpp>
#include <contrail/engines/sqlite/functions.hpp>
#include <contrail/error.hpp>
#include <contrail/io/backend.hpp>
#include <contrail/progress.hpp>
#include <contrail/sinks/directory.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

/// An application that backs up the database which it has open itself.
namespace contrail::test {

constexpr int rows_before = 4000;

class connection {
 public:
  explicit connection(const std::filesystem::path& file) {
    if (::sqlite3_open(file.string().c_str(), &db) != SQLITE_OK) throw std::runtime_error("open");
    ::sqlite3_busy_timeout(db, 10'000);
  }
  ~connection() { ::sqlite3_close(db); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  void run(const std::string& sql) const {
    char* said = nullptr;
    if (::sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &said) != SQLITE_OK) throw std::runtime_error(said != nullptr ? said : "sql");
  }
  sqlite3* db = nullptr;
};

inline io::backend_options on(io::backend_kind kind) {
  io::backend_options out;
  out.kind = kind;
  return out;
}

inline std::vector<io::backend_kind> kinds() {
  std::vector<io::backend_kind> out;
  for (const auto& probe : io::probe_backends()) {
    if (probe.available) out.push_back(probe.kind);
  }
  return out;
}

/// One backup of the database that `app` has open; `during` is called once, in the middle.
inline void back_up(const connection& app, const std::filesystem::path& vault_path, io::backend_kind kind, const std::function<void()>& during) {
  asio::io_context context;
  const io::file_system files(context.get_executor(), on(kind));
  sqlite_engine from(files, app.db, sqlite_of_this_program());
  directory_repository vault(files, vault_path);
  progress counters;
  backup_options options;
  options.progress = &counters;
  options.memory = std::size_t{1} << 20;
  std::optional<std::exception_ptr> end;
  auto take = [&]() -> asio::awaitable<void> { (void)co_await backup(from, vault, options); };
  auto done = [&](std::exception_ptr failure) { end = failure; };
  asio::co_spawn(context, take(), done);
  bool told = false;
  while (!end && context.run_one() != 0) {
    if (told || counters.bytes_accepted.load() == 0) continue;
    told = true;
    during();
  }
  context.run();
  if (end && *end) std::rethrow_exception(*end);
  if (!end || !told) throw std::logic_error("the backup did not come to its end, or was never in the middle");
}

inline void make_application_database(const std::filesystem::path& file) { make_wal_database(file, rows_before); }

inline std::string rows_of(const std::filesystem::path& file) { return sqlite_run(file, "SELECT count(*) FROM t;"); }

}  // namespace contrail::test
