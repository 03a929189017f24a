// What the figures about pagestore need, each in a process of its own; prints JSON. The store has two databases, a.db and b.db, of MIB together.
//   bench_pagestore make DIR MIB                           fills them
//   bench_pagestore commits DIR MIB WRITERS SECONDS        durable commits of two pages, one in each database
//   bench_pagestore dirty DIR MIB LOG_MIB                  leaves so much log to be recovered
//   bench_pagestore recover DIR                            opens, and lets go again
//   bench_pagestore beside DIR MIB WORK WRITERS SECONDS ROUNDS   backups and plain copies beside writers, and without them
#include "pagestore_beside.hpp"
#include "pagestore_load.hpp"

#include <contrail/error.hpp>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace pagestore_load;

shape shape_of(const std::string& mib) {
  shape out;
  out.pages = static_cast<std::uint32_t>(std::stoul(mib) * 1024 * 1024 / out.page_size / 2);
  return out;
}

parameters store_in(const std::filesystem::path& directory, const shape& pages) {
  parameters how;
  how.directory = directory;
  how.page_size = pages.page_size;
  how.cache_size = 65536;   // 256 MiB
  how.circular_logging = true;
  return how;
}

asio::awaitable<std::vector<database>> attach_both(instance& store) {
  const database a = co_await store.attach("a.db");
  const database b = co_await store.attach("b.db");
  std::vector<database> out;
  out.push_back(a);
  out.push_back(b);
  co_return out;
}

std::string told(const statistics& before, const statistics& after) {
  char text[400];
  const auto delta = [&](std::uint64_t statistics::*what) { return static_cast<unsigned long long>(after.*what - before.*what); };
  std::snprintf(text, sizeof text,
                "\"batches\": %llu, \"log_bytes\": %llu, \"images\": %llu, \"deltas\": %llu, \"pages_written\": %llu, \"rounds\": %llu, \"rolls\": %llu",
                delta(&statistics::batches), delta(&statistics::log_bytes), delta(&statistics::images), delta(&statistics::deltas),
                delta(&statistics::pages_written), delta(&statistics::rounds), delta(&statistics::rolls));
  return text;
}

asio::awaitable<void> commits(asio::any_io_executor ex, parameters how, shape pages, unsigned count, double seconds) {
  instance store = co_await instance::open(ex, how);
  const std::vector<database> both = co_await attach_both(store);
  co_await read_all(store, both, pages);
  writers::task what;
  what.count = count;
  writers all(store, both, pages, what);
  all.start(ex);
  co_await wait_for(seconds / 4);
  const statistics before = co_await store.counters();
  const std::uint64_t begun = now_ns();
  co_await wait_for(seconds);
  const std::uint64_t ended = now_ns();
  const statistics after = co_await store.counters();
  co_await all.stop();
  co_await store.terminate(term_mode::complete);
  std::printf("{%s, \"conflicts\": %llu, %s, %s}\n", latencies::told(all.samples(), begun, ended).c_str(),
              static_cast<unsigned long long>(all.conflicts()), told(before, after).c_str(), latencies::resources().c_str());
}

asio::awaitable<void> leave_dirty(asio::any_io_executor ex, parameters how, shape pages, std::uint64_t log_bytes) {
  how.checkpoint_depth = std::uint64_t{64} << 30U;
  instance store = co_await instance::open(ex, how);
  const std::vector<database> both = co_await attach_both(store);
  co_await read_all(store, both, pages);
  writers::task what;
  what.count = 8;
  what.changes = 8;
  what.how = durability::lazy;
  writers all(store, both, pages, what);
  all.start(ex);
  statistics sums;
  do {
    co_await wait_for(0.02);
    sums = co_await store.counters();
  } while (sums.log_bytes < log_bytes);
  co_await all.stop();
  transaction last = store.begin();
  const char mark[] = "the last";
  co_await last.write(both[0], pages.number(0), 0, asio::buffer(mark));
  const commit_info done = co_await last.commit(durability::durable);
  static_cast<void>(done);
  sums = co_await store.counters();
  co_await store.terminate(term_mode::dirty);
  std::printf("{\"commits\": %llu, \"log_bytes\": %llu, \"rounds\": %llu, \"images\": %llu, \"deltas\": %llu}\n",
              static_cast<unsigned long long>(sums.commits), static_cast<unsigned long long>(sums.log_bytes),
              static_cast<unsigned long long>(sums.rounds), static_cast<unsigned long long>(sums.images),
              static_cast<unsigned long long>(sums.deltas));
}

asio::awaitable<void> recover(asio::any_io_executor ex, parameters how) {
  const std::uint64_t begun = now_ns();
  instance store = co_await instance::open(ex, how);
  const double seconds = static_cast<double>(now_ns() - begun) / 1e9;
  const recovery_report report = store.recovered();
  if (!report.ran) throw std::runtime_error("there was nothing to recover");
  co_await store.terminate(term_mode::complete);
  std::printf("{\"seconds\": %.4f, \"records\": %llu, \"changes\": %llu, \"pages_written\": %llu, \"generations\": %u, %s}\n", seconds,
              static_cast<unsigned long long>(report.records), static_cast<unsigned long long>(report.changes),
              static_cast<unsigned long long>(report.pages_written), report.last - report.first + 1, latencies::resources().c_str());
}

int act(const std::vector<std::string>& words) {
  const std::string what = words.empty() ? std::string() : words[0];
  if (what == "make" && words.size() == 3) {
    const shape pages = shape_of(words[2]);
    run([&](asio::any_io_executor ex) { return make(ex, store_in(words[1], pages), pages); });
  } else if (what == "commits" && words.size() == 5) {
    const shape pages = shape_of(words[2]);
    run([&](asio::any_io_executor ex) {
      return commits(ex, store_in(words[1], pages), pages, static_cast<unsigned>(std::stoul(words[3])), std::stod(words[4]));
    });
  } else if (what == "dirty" && words.size() == 4) {
    const shape pages = shape_of(words[2]);
    run([&](asio::any_io_executor ex) { return leave_dirty(ex, store_in(words[1], pages), pages, std::stoull(words[3]) << 20U); });
  } else if (what == "recover" && words.size() == 2) {
    const shape pages;
    run([&](asio::any_io_executor ex) { return recover(ex, store_in(words[1], pages)); });
  } else if (what == "beside" && words.size() == 7) {
    const shape pages = shape_of(words[2]);
    pagestore_beside::plan plan;
    plan.work = words[3];
    plan.writers = static_cast<unsigned>(std::stoul(words[4]));
    plan.seconds = std::stod(words[5]);
    plan.rounds = static_cast<unsigned>(std::stoul(words[6]));
    run([&](asio::any_io_executor ex) { return pagestore_beside::measure(ex, store_in(words[1], pages), pages, plan); });
  } else {
    std::fputs("bench_pagestore make DIR MIB | commits DIR MIB WRITERS SECONDS | dirty DIR MIB LOG_MIB | recover DIR | "
               "beside DIR MIB WORK WRITERS SECONDS ROUNDS\n", stderr);
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    return act(words);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench_pagestore: %s\n", problem.what());
    return 1;
  }
}
