#include "crash/schedules.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using pagestore_world::counts;
using llu = unsigned long long;

constexpr const char* usage =
    "usage: pagestore_crash [--expect-failure] [--only KIND] FIRST COUNT [THREADS]\n"
    "\n"
    "Runs schedules FIRST, FIRST + 1, ... COUNT of them: lives of a store on a simulated disk, whose power fails at random and at chosen\n"
    "places, also while it recovers and right after, whose operations fail, which is full, whose files are missing. A schedule that does not\n"
    "hold is told with its number; 'pagestore_crash NUMBER 1' shows it again. The sums at the end tell what the schedules did; of 1000 or\n"
    "more, each kind of thing must have happened.\n"
    "\n"
    "--expect-failure   ends at the first schedule that does not hold\n"
    "--only KIND        of one kind: any, mixed, openings, twins, rolls, ends, databases, faults, full, recycled, missing. A number stands for another\n"
    "                   schedule then\n"
    "\n"
    "Exit status: 0 every schedule held (with --expect-failure: one did not), 1 not so, 2 wrong usage.\n";

std::uint64_t number(const char* text, const char* what) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') {
    std::fprintf(stderr, "pagestore_crash: %s is no number: %s\n", what, text);
    std::exit(2);
  }
  return value;
}

class campaign {
 public:
  campaign(std::uint64_t first, std::uint64_t count, bool until_failure, std::string only)
      : first_(first), count_(count), until_failure_(until_failure), only_(std::move(only)) {}

  void work() {
    for (std::uint64_t n = next_++; n < count_; n = next_++) {
      if (until_failure_ && failed_ != 0) return;
      try {
        const counts mine = schedules::run(first_ + n, only_);
        const std::scoped_lock lock(mutex_);
        add(mine);
      } catch (const std::exception& e) {
        ++failed_;
        const std::scoped_lock lock(mutex_);
        std::printf("schedule %llu failed: %s\n", static_cast<llu>(first_ + n), e.what());
        std::fflush(stdout);
      }
      ++done_;
      tell();
    }
  }

  /// What each schedule did; is there something that none of many did?
  bool report() {
    std::printf("%llu schedules, %llu failed\n", static_cast<llu>(done_.load()), static_cast<llu>(failed_.load()));
    bool all = true;
    sums_.each([&](const char* name, std::uint64_t value) {
      const bool never = value == 0 && count_ >= 1000 && !until_failure_ && only_.empty();
      std::printf("%10llu %s%s\n", static_cast<llu>(value), name, never ? ": never" : "");
      all = all && !never;
    });
    return all;
  }
  std::uint64_t failed() const { return failed_; }

 private:
  void add(counts mine) {
    std::vector<std::uint64_t> values;
    mine.each([&](const char*, std::uint64_t value) { values.push_back(value); });
    std::size_t i = 0;
    sums_.each([&](const char*, std::uint64_t& value) { value += values[i++]; });
  }
  void tell() {
    const std::scoped_lock lock(mutex_);
    const auto now = std::chrono::system_clock::now();
    if (now - told_ < std::chrono::seconds(30)) return;
    told_ = now;
    std::fprintf(stderr, "pagestore_crash: %llu of %llu schedules, %llu failed\n", static_cast<llu>(done_.load()), static_cast<llu>(count_),
                 static_cast<llu>(failed_.load()));
  }

  const std::uint64_t first_, count_;
  const bool until_failure_;
  const std::string only_;
  std::atomic<std::uint64_t> next_{0}, done_{0}, failed_{0};
  std::mutex mutex_;
  counts sums_;
  std::chrono::system_clock::time_point told_ = std::chrono::system_clock::now();   // the other clock is not the real one here
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<const char*> given;
  bool until_failure = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--help") == 0) {
      std::fputs(usage, stdout);
      return 0;
    }
    if (std::strcmp(argv[i], "--expect-failure") == 0) until_failure = true;
    else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    else given.push_back(argv[i]);
  }
  if (given.size() < 2 || given.size() > 3 || (!only.empty() && only != "any" && !schedules::has_kind(only))) {
    std::fputs(usage, stderr);
    return 2;
  }
  const std::uint64_t first = number(given[0], "FIRST");
  const std::uint64_t count = number(given[1], "COUNT");
  const std::uint64_t threads = given.size() == 3 ? number(given[2], "THREADS") : 1;
  if (only == "any") only.clear();
  campaign all(first, count, until_failure, only);
  std::vector<std::thread> workers;
  for (std::uint64_t i = 0; i < threads; ++i) workers.emplace_back([&all] { all.work(); });
  for (auto& worker : workers) worker.join();
  const bool complete = all.report();
  if (until_failure) return all.failed() != 0 ? 0 : 1;
  return all.failed() == 0 && complete ? 0 : 1;
}
