#pragma once

#include "support/cli_program.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <vector>

/// Commands of the program under test, CONTRAIL_PROGRAM, that several programs of tests give.
namespace contrail::test {

inline outcome run(const std::vector<std::string>& arguments, const launch& how = {}) {
  return run_program(CONTRAIL_PROGRAM, arguments, how);
}

inline std::vector<std::string> backup_of(const std::filesystem::path& database, const std::filesystem::path& repository) {
  return {"backup", "sqlite:" + database.string(), "--to", repository.string()};
}

/// A backup that must succeed; its set.
inline std::string back_up(const std::filesystem::path& database, const std::filesystem::path& repository) {
  std::vector<std::string> arguments = backup_of(database, repository);
  arguments.push_back("--json");
  const outcome got = run(arguments);
  INFO(got.err);
  REQUIRE(got.exit == 0);
  return got.parsed()["set"];
}

/// Runs a backup that must fail with exit status 1, with words on standard error and an error object, and leaves no repository.
inline nlohmann::ordered_json refused(const std::filesystem::path& database, const std::filesystem::path& repository,
                                      const launch& how = {}) {
  std::vector<std::string> arguments = backup_of(database, repository);
  arguments.push_back("--json");
  const outcome got = run(arguments, how);
  INFO(got.out << got.err);
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Catch::Matchers::StartsWith("contrail: "));
  const auto object = got.parsed();
  REQUIRE(object.contains("error"));
  CHECK_FALSE(object["error"]["message"].get<std::string>().empty());
  CHECK_FALSE(object["error"]["name"].get<std::string>().empty());
  return object["error"];
}

inline outcome restore(const std::filesystem::path& repository, const std::filesystem::path& into,
                       const std::vector<std::string>& more = {}, const launch& how = {}) {
  std::vector<std::string> arguments{"restore", repository.string(), "--into", into.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments, how);
}

}  // namespace contrail::test
