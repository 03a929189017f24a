#pragma once

#include <contrail/sinks/directory.hpp>
#include "support/repo_tools.hpp"

#include <string>
#include <vector>

/// A repository in a directory of its own, and one thread that does everything.
struct repo_place {
  temp_directory dir;
  asio::io_context context;
  contrail::io::file_system files{context.get_executor()};
  contrail::directory_repository repo{files, dir / "repo"};

  contrail::manifest back_up(const std::vector<repo_file>& content) {
    contrail::manifest out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo_write(repo, content); });
    return out;
  }
  std::vector<repo_file> read(const std::string& set, std::size_t memory = 2 << 20) {
    std::vector<repo_file> out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo_read(repo, set, memory); });
    return out;
  }
  std::vector<contrail::set_entry> list() {
    std::vector<contrail::set_entry> out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { out = co_await repo.list(); });
    return out;
  }
};

/// A database and its log.
inline std::vector<repo_file> repo_small_set() {
  std::vector<repo_file> out;
  out.emplace_back("app.db", pattern_bytes(20000, 1));
  out.emplace_back("app.db.wal", pattern_bytes(5001, 2), contrail::file_role::log);
  out[0].mode = 0640;
  out[0].owner = "1000:100";
  return out;
}
