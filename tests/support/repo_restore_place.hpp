#pragma once

#include <contrail/error.hpp>
#include <contrail/restore.hpp>
#include "support/repo_tools.hpp"

#include <filesystem>
#include <string>
#include <vector>

/// A repository and a place to restore into.
struct repo_restore_place {
  temp_directory dir;
  asio::io_context context;
  contrail::io::file_system files{context.get_executor()};
  contrail::directory_repository repo{files, dir / "repo"};
  repo_restorer with;
  std::filesystem::path into = dir / "out";
  bool overwrite = false;
  std::string set = "latest";
  contrail::progress counters;

  std::string back_up(const std::vector<repo_file>& content) {
    std::string out;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(repo, content);
      out = m.set;
    });
    return out;
  }
  asio::awaitable<void> restore_into(contrail::restore_report& out) {
    contrail::restore_options options;
    options.set = set;
    options.overwrite = overwrite;
    options.memory = 4 << 20;
    options.progress = &counters;
    options.files = &files;
    out = co_await contrail::restore(repo, with, into, options);
  }
  contrail::restore_report restore() {
    contrail::restore_report out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { co_await restore_into(out); });
    return out;
  }
  std::error_code code() {
    return repo_code([&] { restore(); });
  }
};

inline std::vector<repo_file> repo_one_database() {
  std::vector<repo_file> out;
  out.emplace_back("app.db", pattern_bytes(700001, 1));
  out.emplace_back("app.db.wal", pattern_bytes(50, 2), contrail::file_role::log);
  return out;
}

inline std::vector<repo_file> repo_several() {
  std::vector<repo_file> out;
  out.emplace_back("one.db", pattern_bytes(100, 1));
  out.emplace_back("sub/two.db", pattern_bytes(200, 2));
  out.emplace_back("sub/deep/three.db", pattern_bytes(300000, 3));
  out.emplace_back("log", "l", contrail::file_role::log);
  return out;
}
