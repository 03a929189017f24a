#pragma once

#include <contrail/verify.hpp>
#include "support/repo_tools.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

class verify_registry final : public contrail::restorer_registry {
 public:
  contrail::restorer* find(std::string_view engine) override { return engine == "fake" ? &with : nullptr; }
  repo_restorer with;
};

/// A repository, a place to prove in, and a restorer that proves.
struct verify_place {
  temp_directory dir;
  asio::io_context context;
  contrail::io::file_system files{context.get_executor()};
  contrail::directory_repository repo{files, dir / "repo"};
  const std::filesystem::path scratch = dir / "scratch";
  verify_registry provers;

  verify_place() { std::filesystem::create_directory(scratch); }

  std::string back_up(const std::vector<repo_file>& content) {
    std::string out;
    run_on(context, 1, [&]() -> asio::awaitable<void> {
      const contrail::manifest m = co_await repo_write(repo, content);
      out = m.set;
    });
    return out;
  }
  asio::awaitable<void> verify_into(contrail::verify_report& out, std::string_view set, bool prove, contrail::progress* counters) {
    contrail::verify_options options;
    options.set = set;
    options.memory = 2 << 20;
    options.scratch = &scratch;
    options.files = &files;
    options.progress = counters;
    contrail::restorer_registry* const with = prove ? &provers : nullptr;
    out = co_await contrail::verify(repo, with, options);
  }
  contrail::verify_report verify(std::string_view set = "all", bool prove = false, contrail::progress* counters = nullptr) {
    contrail::verify_report out;
    run_on(context, 1, [&]() -> asio::awaitable<void> { co_await verify_into(out, set, prove, counters); });
    return out;
  }
  // The damage of the only set there is.
  std::vector<contrail::file_damage> damage() {
    const contrail::verify_report r = verify();
    REQUIRE(r.sets.size() == 1);
    return r.sets[0].damage;
  }
};

inline std::vector<repo_file> verify_small_set() {
  std::vector<repo_file> out;
  out.emplace_back("app.db", pattern_bytes(700, 1));
  out.emplace_back("sub/log", pattern_bytes(90, 2), contrail::file_role::log);
  out.emplace_back("empty", "");
  return out;
}
