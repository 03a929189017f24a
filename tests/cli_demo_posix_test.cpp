#include "support/cli_program.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <string>

using namespace contrail::test;

TEST_CASE("cli_demo: an interrupted one leaves nothing, no file and no process", "[cli_demo]") {
  const workspace w;
  launch how;
  how.environment["TMPDIR"] = w.path().string();
  unsigned turn = 0;
  for (const unsigned after : {50U, 400U, 900U, 1800U, 2600U, 4000U, 5500U, 6500U}) {
    // A terminal signals all of them, kill(1) the program alone.
    const int signal = turn % 2 == 0 ? SIGINT : SIGTERM;
    const bool all = turn / 2 % 2 == 0;
    ++turn;
    program demo(CONTRAIL_PROGRAM, {"demo", "--seconds", "3"}, how);
    ::usleep(after * 1000);
    if (all) {
      demo.kill_family(signal);
    } else {
      demo.kill(signal);
    }
    const outcome got = demo.wait();
    INFO("after " << after << " ms, signal " << signal << "\n" << got.out << got.err);
    // Before the program is at its main() it may be the signal itself that ends it.
    CHECK((got.exit == 128 + signal || got.signal == signal));
    CHECK(names_in(w.path()).empty());
    CHECK_FALSE(demo.family_alive());
  }
}

TEST_CASE("cli_demo: interrupted while its store is backed up, it leaves nothing either", "[cli_demo]") {
  const workspace w;
  program demo(CONTRAIL_PROGRAM, {"demo", "--seconds", "1", "--dir", w.path().string()});
  const auto backs_up = [&w] {
    const auto names = names_in(w.path());
    return !names.empty() && !names_in(w / names.front() / "store-repository").empty();
  };
  while (demo.running() && !backs_up()) {
    ::usleep(1000);
  }
  demo.kill(SIGINT);
  const outcome got = demo.wait();
  INFO(got.out << got.err);
  CHECK(got.exit == 130);
  CHECK(names_in(w.path()).empty());
  CHECK_FALSE(demo.family_alive());
}
