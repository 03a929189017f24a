// pagestore_crash FIRST COUNT [THREADS]: schedules FIRST, FIRST + 1, ... of a store on a simulated disk whose power fails at random places, also
// while it recovers and right after. Exit status 0 when every schedule held; 1 with the numbers of those that did not; 2 for wrong usage.
#include "support/pagestore_world.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace {

using pagestore_world::world;

struct sums {
  std::atomic<std::uint64_t> committed{0}, crashes{0}, recoveries{0};
};

void one_schedule(std::uint64_t seed, sums& all) {
  std::mt19937_64 random(seed ^ 0x9e3779b97f4a7c15ULL);
  contrail::io::disk_options options;
  options.seed = seed;
  options.short_transfers = random() % 2 == 0;
  world w(seed, options);
  const unsigned lives = 2 + static_cast<unsigned>(random() % 4);
  // Some lives are measured first, so that the power fails anywhere in one like them.
  std::uint64_t typical = 200;
  for (unsigned life = 0; life < lives; ++life) {
    world::life_plan plan;
    plan.writers = 1 + static_cast<unsigned>(random() % 4);
    plan.transactions = 2 + static_cast<unsigned>(random() % 16);
    plan.clean_end = random() % 4 == 0;
    const unsigned kind = static_cast<unsigned>(random() % 8);
    if (kind < 5) plan.power_fails_after = 1 + random() % typical;
    else if (kind < 7) plan.power_fails_after = 1 + random() % 40;   // opening, recovery, the first batches
    const std::uint64_t before = w.disk().operations();
    const bool over = w.live(plan);
    if (over) typical = std::max<std::uint64_t>(w.disk().operations() - before, 50);
    else ++all.crashes;
  }
  world::life_plan last;
  last.transactions = 1;
  last.clean_end = true;
  w.live(last);
  w.live(last);
  all.committed += w.committed();
  all.recoveries += w.recoveries();
}

std::uint64_t number(const char* text, const char* what) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') {
    std::fprintf(stderr, "pagestore_crash: %s is no number: %s\n", what, text);
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: pagestore_crash FIRST COUNT [THREADS]\n");
    return 2;
  }
  const std::uint64_t first = number(argv[1], "FIRST");
  const std::uint64_t count = number(argv[2], "COUNT");
  const std::uint64_t threads = argc == 4 ? number(argv[3], "THREADS") : 1;
  sums all;
  std::atomic<std::uint64_t> next{0}, failed{0};
  std::mutex output;
  std::vector<std::thread> workers;
  for (std::uint64_t i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      for (std::uint64_t n = next++; n < count; n = next++) {
        try {
          one_schedule(first + n, all);
        } catch (const std::exception& e) {
          ++failed;
          const std::scoped_lock lock(output);
          std::printf("schedule %llu failed: %s\n", static_cast<unsigned long long>(first + n), e.what());
          std::fflush(stdout);
        }
      }
    });
  }
  for (auto& worker : workers) worker.join();
  std::printf("%llu schedules, %llu failed: %llu commits, %llu crashes, %llu opens\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(failed.load()), static_cast<unsigned long long>(all.committed.load()),
              static_cast<unsigned long long>(all.crashes.load()), static_cast<unsigned long long>(all.recoveries.load()));
  return failed == 0 ? 0 : 1;
}
