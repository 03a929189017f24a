#include "support/cli_program.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;

TEST_CASE("cli_usage: standard output that is full or closed is an error", "[cli_usage]") {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{{"--help"}, {"--version"}, {"info"}, {"info", "--json"}}) {
    for (const std::string place : {"/dev/full", "closed", "nobody"}) {
      launch how;
      how.standard_output = place;
      const outcome got = run_program(CONTRAIL_PROGRAM, arguments, how);
      INFO(place << ": " << got.err);
      CHECK(got.exit == 1);
      CHECK_THAT(got.err, Contains("standard output"));
    }
  }
}
