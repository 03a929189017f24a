#pragma once

#include "support/cli_commands.hpp"
#include "support/cli_database.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <vector>

/// For tests that end the program at some moment: what it works on, and what must be left.
namespace contrail::test {

/// Large enough to take a few tenths of a second under a rate limit.
constexpr int rows = 1500;

/// Both ways of doing I/O take turns.
inline std::string backend(unsigned i) {
  return i / 2 % 2 == 0 ? "auto" : "threads";
}

/// How long a run takes that nobody interrupts: signals are spread over that time.
inline std::chrono::microseconds duration_of(const std::vector<std::string>& arguments) {
  const auto begun = std::chrono::steady_clock::now();
  const outcome got = run(arguments);
  INFO(got.err);
  REQUIRE(got.exit == 0);
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
}

struct place {
  explicit place(int with_rows = rows) { make_database(w / "app.db", with_rows); }
  std::vector<std::string> backup(const std::string& rate, const std::string& with = "auto") const {
    return {"backup", "sqlite:" + (w / "app.db").string(), "--to", (w / "repo").string(), "--json", "--rate-limit", rate, "--io-backend", with};
  }
  std::size_t sets() const {
    const outcome got = run({"list", (w / "repo").string(), "--json"});
    INFO(got.out << got.err);
    if (got.exit != 0) {
      return 0;
    }
    const auto told = got.parsed();
    for (const auto& set : told["sets"]) {
      CHECK(set["status"] == "complete");
    }
    return told["sets"].size();
  }
  /// No half-made set, no lock file, nothing beside the database.
  void check_clean() const {
    for (const std::string& name : names_in(w / "repo")) {
      INFO(name);
      CHECK(name.front() != '.');
    }
    for (const std::string& name : names_in(w.path())) {
      INFO(name);
      CHECK((name == "app.db" || name == "repo" || name == "out" || name == "scratch"));
    }
  }
  const workspace w;
};

}  // namespace contrail::test
