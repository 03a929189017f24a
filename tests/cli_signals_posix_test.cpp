#include "support/cli_database_place.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace contrail::test;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// Interrupted: by its own account, or by the system before main() was reached.
bool was_interrupted(const outcome& got, int signal) {
  if (got.signal == signal) {
    CHECK(got.out.empty());
    return true;
  }
  if (got.exit != 128 + signal) {
    return false;
  }
  CHECK_THAT(got.err, Contains("interrupted by SIG"));
  const auto object = got.parsed();
  CHECK(object["error"]["name"] == "interrupted");
  return true;
}

void pause(unsigned milliseconds) {
  ::usleep(milliseconds * 1000);
}

}  // namespace

TEST_CASE("cli_signals: SIGINT and SIGTERM at many moments of a backup", "[cli_signals]") {
  const place p;
  unsigned stopped = 0, finished = 0;
  for (unsigned i = 0; i < 24; ++i) {
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    program one(CONTRAIL_PROGRAM, p.backup("4M", backend(i)));
    pause(i * 20);
    one.kill(signal);
    const outcome got = one.wait();
    INFO("after " << i * 20 << " ms: " << got.exit << " " << got.signal << "\n" << got.out << got.err);
    if (was_interrupted(got, signal)) {
      ++stopped;
    } else {
      CHECK(got.exit == 0);
      ++finished;
    }
    p.check_clean();
    CHECK(p.sets() == finished);
  }
  CHECK(stopped >= 1);
  const outcome next = run(p.backup("none"));
  CHECK(next.exit == 0);
  CHECK(next.err.empty());
  CHECK(run({"verify", (p.w / "repo").string(), "--prove"}).exit == 0);
  CHECK(check_database(p.w / "app.db") == "ok 1500");
}

TEST_CASE("cli_signals: a second signal waits for the clean-up as well", "[cli_signals]") {
  const place p;
  program one(CONTRAIL_PROGRAM, p.backup("1M"));
  while (one.running() && names_in(p.w / "repo").empty()) {
    pause(1);
  }
  for (int i = 0; i < 5; ++i) {
    one.kill(SIGTERM);
    pause(1);
  }
  const outcome got = one.wait();
  INFO(got.out << got.err);
  CHECK(was_interrupted(got, SIGTERM));
  p.check_clean();
}

TEST_CASE("cli_signals: SIGINT and SIGTERM at many moments of a verification", "[cli_signals]") {
  const place p(8000);
  REQUIRE(run(p.backup("none")).exit == 0);
  fs::create_directory(p.w / "scratch");
  const auto arguments = [&p](unsigned i) {
    return std::vector<std::string>{"verify", (p.w / "repo").string(), "--json", "--prove", "--scratch", (p.w / "scratch").string(),
                                    "--memory", "2M", "--io-backend", backend(i)};
  };
  const auto whole = duration_of(arguments(0));
  unsigned stopped = 0;
  for (unsigned i = 0; i < 24; ++i) {
    const int signal = i % 2 == 0 ? SIGINT : SIGTERM;
    program one(CONTRAIL_PROGRAM, arguments(i));
    std::this_thread::sleep_for(whole * i / 24);
    one.kill(signal);
    const outcome got = one.wait();
    INFO(got.exit << " " << got.signal << "\n" << got.out << got.err);
    if (was_interrupted(got, signal)) {
      ++stopped;
    } else {
      CHECK(got.exit == 0);
    }
    CHECK(names_in(p.w / "scratch").empty());
  }
  CHECK(stopped >= 1);
  CHECK(run({"verify", (p.w / "repo").string(), "--prove"}).exit == 0);
  p.check_clean();
}

TEST_CASE("cli_signals: every signal at many moments of a restore", "[cli_signals]") {
  const place p(8000);
  REQUIRE(run(p.backup("none")).exit == 0);
  const std::string good = "ok 8000";
  const auto arguments = [&p](unsigned i) {
    return std::vector<std::string>{"restore", (p.w / "repo").string(), "--into", (p.w / "out").string(), "--json", "--memory", "2M",
                                    "--force", "--io-backend", backend(i)};
  };
  const auto whole = duration_of(arguments(0));
  unsigned stopped = 0;
  for (unsigned i = 0; i < 36; ++i) {
    fs::remove_all(p.w / "out");
    const int signal = i % 3 == 0 ? SIGINT : i % 3 == 1 ? SIGTERM : SIGKILL;
    // Every second time there is something to be replaced: it is whole, or the new one is.
    if (i / 3 % 2 == 1) {
      fs::create_directory(p.w / "out");
      make_database(p.w / "out" / "app.db", 7);
    }
    program one(CONTRAIL_PROGRAM, arguments(i));
    std::this_thread::sleep_for(whole * i / 36);
    one.kill(signal);
    const outcome got = one.wait();
    INFO("moment " << i << ": " << got.exit << " " << got.signal << "\n" << got.out << got.err);
    if (fs::exists(p.w / "out" / "app.db")) {
      const std::string state = check_database(p.w / "out" / "app.db");
      CHECK((state == good || (i / 3 % 2 == 1 && state == "ok 7")));
      CHECK((got.exit != 0 || state == good));
    }
    if (signal == SIGKILL) {
      // Hidden leftovers are allowed, and gone after the next restore.
      const outcome next = run(arguments(i));
      INFO(next.err);
      CHECK(next.exit == 0);
    } else if (was_interrupted(got, signal)) {
      ++stopped;
    } else {
      CHECK(got.exit == 0);
    }
    const std::vector<std::string> left = names_in(p.w / "out");
    CHECK((left.empty() || left == std::vector<std::string>{"app.db"}));
  }
  CHECK(stopped >= 1);
  fs::remove_all(p.w / "out");
  CHECK(run(arguments(0)).exit == 0);
  CHECK(check_database(p.w / "out" / "app.db") == good);
  p.check_clean();
}

TEST_CASE("cli_signals: a terminal that goes away is a signal, too", "[cli_signals]") {
  const place p;
  program one(CONTRAIL_PROGRAM, p.backup("1M"));
  while (one.running() && names_in(p.w / "repo").empty()) {
    pause(1);
  }
  one.kill(SIGHUP);
  const outcome got = one.wait();
  INFO(got.err);
  CHECK(got.exit == 129);
  p.check_clean();
}
