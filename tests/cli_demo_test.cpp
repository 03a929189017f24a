#include "support/cli_program.hpp"

#include <catch2/catch.hpp>

#include <sqlite3.h>

#include <sstream>
#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;

namespace {

/// The line that begins with the label; empty when there is none.
std::string line_of(const std::string& text, const std::string& label) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(label) == 3) return line.substr(3 + label.size());
  }
  return {};
}

std::vector<double> numbers_in(const std::string& text, const std::string& label) {
  std::istringstream words(line_of(text, label));
  std::vector<double> out;
  for (std::string word; words >> word;) {
    std::istringstream one(word);
    double value = 0;
    if (one >> value) out.push_back(value);
  }
  return out;
}

}  // namespace

TEST_CASE("cli_demo: the restored bank is right, and nothing is left", "[cli_demo]") {
  const workspace w;
  launch how;
  for (const std::string name : {"TMPDIR", "TMP"}) how.environment[name] = w.path().string();   // of POSIX, and of Windows
  program demo(CONTRAIL_PROGRAM, {"demo", "--seconds", "1"}, how);
  const outcome got = demo.wait();
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK_THAT(got.out, Contains("the restored bank is right") && Contains("good, proven"));
  CHECK_THAT(got.out, Contains("   broken: ") || Contains("   lucky: "));
  // The tellers before and during, the backup beside the plain copy.
  CHECK(numbers_in(got.out, "transactions a second").size() == 2);
  CHECK(numbers_in(got.out, "slowest transaction").size() == 2);
  for (const double rate : numbers_in(got.out, "transactions a second")) CHECK(rate > 0);
  const std::string books = line_of(got.out, "the bank's books");
  CHECK_THAT(books, Contains("right"));
  CHECK((books.find("BROKEN") != std::string::npos || books.find("WRONG") != std::string::npos) ==
        (got.out.find("   broken: ") != std::string::npos));
  const std::vector<double> found = numbers_in(got.out, "transactions found in it");
  REQUIRE_FALSE(found.empty());
  CHECK(found.front() >= 40);   // two tellers, twenty each before it began
  // No terminal, no bar.
  CHECK(got.err.empty());
  CHECK(names_in(w.path()).empty());
  CHECK_FALSE(demo.family_alive());
}

TEST_CASE("cli_demo: the files can be kept", "[cli_demo]") {
  const workspace w;
  const outcome got = run_program(CONTRAIL_PROGRAM, {"demo", "--seconds", "1", "--keep", "--dir", w.path().string(), "--io-backend", "threads"});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  REQUIRE(names_in(w.path()).size() == 1);
  const auto place = w / names_in(w.path()).front();
  CHECK_THAT(got.out, Contains("(threads)") && Contains(place.string()));
  CHECK(run_program(CONTRAIL_PROGRAM, {"verify", (place / "repository").string(), "--prove"}).exit == 0);
}

TEST_CASE("cli_demo: the bar is drawn where it is asked for", "[cli_demo]") {
  const workspace w;
  const outcome got = run_program(CONTRAIL_PROGRAM, {"demo", "--seconds", "1", "--dir", w.path().string(), "--progress", "always"});
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK_THAT(got.err, Contains("   backup  [#") && Contains("   copy  [#") && Contains("%"));
  CHECK_THAT(got.out, !Contains("[#"));
  CHECK(names_in(w.path()).empty());
}

TEST_CASE("cli_demo: no place to work in", "[cli_demo]") {
  const outcome got = run_program(CONTRAIL_PROGRAM, {"demo", "--dir", "/nonexistent"});
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Contains("/nonexistent"));
}
