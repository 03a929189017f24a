#include "support/cli_program.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <string>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;

TEST_CASE("cli_demo: the restored bank is right, and nothing is left", "[cli_demo]") {
  const workspace w;
  launch how;
  how.environment["TMPDIR"] = w.path().string();
  program demo(CONTRAIL_PROGRAM, {"demo", "--seconds", "1"}, how);
  const outcome got = demo.wait();
  INFO(got.out << got.err);
  CHECK(got.exit == 0);
  CHECK_THAT(got.out, Contains("the restored bank is right") && Contains("good, proven"));
  CHECK_THAT(got.out, Contains("   broken: ") || Contains("   lucky: "));
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

TEST_CASE("cli_demo: an interrupted one leaves nothing, no file and no process", "[cli_demo]") {
  const workspace w;
  launch how;
  how.environment["TMPDIR"] = w.path().string();
  for (const unsigned after : {50U, 400U, 900U, 2600U}) {
    program demo(CONTRAIL_PROGRAM, {"demo", "--seconds", "2"}, how);
    ::usleep(after * 1000);
    demo.kill_family(SIGINT);
    const outcome got = demo.wait();
    INFO("after " << after << " ms\n" << got.out << got.err);
    // Before the program is at its main() it may be the signal itself that ends it.
    CHECK((got.exit == 130 || got.signal == SIGINT));
    CHECK(names_in(w.path()).empty());
    CHECK_FALSE(demo.family_alive());
  }
}

TEST_CASE("cli_demo: no place to work in", "[cli_demo]") {
  const outcome got = run_program(CONTRAIL_PROGRAM, {"demo", "--dir", "/nonexistent"});
  CHECK(got.exit == 1);
  CHECK_THAT(got.err, Contains("/nonexistent"));
}
