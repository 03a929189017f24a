#pragma once

#include "support/repo_restore_place.hpp"

#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

/// Does what `body` says in a child process; its exit status, or minus the signal that ended it.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Restores in a child process with another restorer; minus the signal that ended it, or its exit status.
inline int restore_in_child(repo_restore_place& p, repo_restorer& other, const std::function<void()>& first = {}) {
  return in_child([&] {
    if (first) first();
    asio::io_context own;
    contrail::io::file_system own_files(own.get_executor());
    contrail::directory_repository own_repo(own_files, p.dir / "repo");
    contrail::restore_options options;
    options.overwrite = p.overwrite;
    options.files = &own_files;
    run_on(own, 1, [&]() -> asio::awaitable<void> { const auto r = co_await contrail::restore(own_repo, other, p.into, options); });
    return 0;
  });
}
