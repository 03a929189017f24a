#include "pagestore_beside.hpp"

#include <contrail/backup.hpp>
#include <contrail/progress.hpp>
#include <contrail/sinks/directory.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace pagestore_beside {

namespace {

using namespace pagestore_load;

enum class state { alone, backup, backup_holding, backup_paced, copy };
constexpr std::array<std::pair<state, const char*>, 5> states{{{state::alone, "alone"},
                                                               {state::backup, "backup"},
                                                               {state::backup_holding, "backup, always holding"},
                                                               {state::backup_paced, "backup, paced"},
                                                               {state::copy, "cp"}}};

/// What is known of one window.
struct window {
  std::uint64_t begun = 0, ended = 0;
  std::vector<double> copies;        ///< MiB/s of each
  statistics before, after;
  std::uint64_t retried = 0;         ///< pages
};

class measurement {
 public:
  measurement(instance& store, asio::any_io_executor ex, std::filesystem::path directory, plan p)
      : store_(store), ex_(std::move(ex)), directory_(std::move(directory)), plan_(std::move(p)) {}

  /// One window; the copies are removed outside of it.
  asio::awaitable<window> once(state s, double seconds) {
    window out;
    out.before = co_await store_.counters();
    out.begun = now_ns();
    const std::uint64_t until = out.begun + static_cast<std::uint64_t>(seconds * 1e9);
    if (s == state::alone) {
      co_await wait_for(seconds);
    } else {
      do {
        const std::function<void()> forget = [this] { forget_cache(); };
        co_await elsewhere(forget);
        const std::uint64_t begun = now_ns();
        std::uint64_t bytes = 0;
        if (s == state::copy) bytes = co_await plain_copy();
        else bytes = co_await one_backup(s, out);
        out.copies.push_back(static_cast<double>(bytes) / 1048576.0 / (static_cast<double>(now_ns() - begun) / 1e9));
      } while (now_ns() < until);
    }
    out.ended = now_ns();
    out.after = co_await store_.counters();
    // What is left to be written, and who waits for it, is no other window's.
    const std::function<void()> clean = [this] {
      std::filesystem::remove_all(plan_.work);
      std::filesystem::create_directory(plan_.work);
      ::sync();
    };
    co_await elsewhere(clean);
    co_await wait_for(0.3);
    co_return out;
  }

 private:
  /// On a thread of its own: nobody's commit is to wait for it.
  static asio::awaitable<void> elsewhere(std::function<void()> what) {
    std::atomic<bool> over{false};
    std::exception_ptr failure;
    std::thread other([&] {
      try {
        what();
      } catch (...) {
        failure = std::current_exception();
      }
      over = true;
    });
    while (!over) co_await wait_for(0.002);
    other.join();
    if (failure) std::rethrow_exception(failure);
  }

  /// Neither of the two databases is to be in the page cache.
  void forget_cache() const {
    for (const char* const name : {"a.db", "b.db"}) {
      const int file = ::open((directory_ / name).c_str(), O_RDONLY);
      if (file < 0) throw std::runtime_error("cannot open a database");
      ::fsync(file);
      ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      ::close(file);
    }
  }

  std::string next_place() { return plan_.work + "/copy-" + std::to_string(++copies_); }

  asio::awaitable<std::uint64_t> one_backup(state s, window& told) {
    contrail::directory_repository repository(ex_, next_place());
    contrail::progress seen;
    contrail::backup_options options;
    options.progress = &seen;
    if (s == state::backup_holding) options.reads.hold = contrail::hold_policy::always;
    // As much a second as takes the whole window.
    const std::uint64_t bytes = std::filesystem::file_size(directory_ / "a.db") + std::filesystem::file_size(directory_ / "b.db");
    if (s == state::backup_paced) options.rate_limit = static_cast<std::uint64_t>(static_cast<double>(bytes) / plan_.seconds);
    const contrail::backup_report report = co_await contrail::backup(store_.backup_engine(), repository, options);
    if (!report.failed_databases.empty() || report.recorded) throw std::runtime_error("the backup is not complete");
    told.retried += report.pages_retried;
    co_return report.bytes;
  }

  /// Of the files alone, by another program, synced as a backup is: what the disk takes without any of the backup's work.
  asio::awaitable<std::uint64_t> plain_copy() {
    const std::string place = next_place();
    std::filesystem::create_directory(place);
    const std::string command = "cp --reflink=never '" + (directory_ / "a.db").string() + "' '" + (directory_ / "b.db").string() + "' '" +
                                place + "' && sync '" + place + "/a.db' '" + place + "/b.db' '" + place + "'";
    const std::function<void()> copy = [command] {
      if (std::system(command.c_str()) != 0) throw std::runtime_error("cp failed");
    };
    co_await elsewhere(copy);
    co_return std::filesystem::file_size(place + "/a.db") + std::filesystem::file_size(place + "/b.db");
  }

  instance& store_;
  asio::any_io_executor ex_;
  const std::filesystem::path directory_;
  const plan plan_;
  unsigned copies_ = 0;
};

template <typename T>
std::string list_of(const std::vector<T>& values) {
  std::string out;
  for (const T& v : values) out += (out.empty() ? "" : ", ") + std::to_string(v);
  return "[" + out + "]";
}

std::string told(const window& w, const std::vector<sample>& samples) {
  std::vector<std::uint64_t> holds;
  for (std::size_t k = 0; k < w.after.holds.size(); ++k) holds.push_back(w.after.holds[k] - w.before.holds[k]);
  while (!holds.empty() && holds.back() == 0) holds.pop_back();
  return "{" + latencies::told(samples, w.begun, w.ended) + ", \"copies\": " + list_of(w.copies) + ", \"pages_retried\": " + std::to_string(w.retried) +
         ", \"holds\": " + list_of(holds) + ", \"longest_hold_us\": " + std::to_string(w.after.longest_hold_us) +
         ", \"pages_written\": " + std::to_string(w.after.pages_written - w.before.pages_written) + "}";
}

}  // namespace

asio::awaitable<void> measure(asio::any_io_executor ex, parameters how, shape pages, plan p) {
  const std::filesystem::path directory = how.directory;
  instance store = co_await instance::open(ex, how);
  const database a = co_await store.attach("a.db");
  const database b = co_await store.attach("b.db");
  const std::vector<database> both{a, b};
  measurement m(store, ex, directory, p);
  std::array<std::vector<window>, states.size()> idle, loaded;
  // Each round begins with another one, and the first round does not count.
  for (unsigned round = 0; round <= p.rounds; ++round) {
    for (std::size_t step = 0; step < states.size(); ++step) {
      const std::size_t which = (round + step) % states.size();
      if (states[which].first == state::alone || states[which].first == state::backup_paced) continue;
      const window w = co_await m.once(states[which].first, 0);
      if (round != 0) idle[which].push_back(w);
    }
  }
  writers::task what;
  what.count = p.writers;
  writers all(store, both, pages, what);
  all.start(ex);
  co_await wait_for(p.seconds / 2);
  for (unsigned round = 0; round <= p.rounds; ++round) {
    for (std::size_t step = 0; step < states.size(); ++step) {
      const std::size_t which = (round + step) % states.size();
      const window w = co_await m.once(states[which].first, p.seconds);
      if (round != 0) loaded[which].push_back(w);
    }
  }
  co_await all.stop();
  co_await store.terminate(term_mode::complete);
  const auto print = [&](const char* name, const std::array<std::vector<window>, states.size()>& of) {
    std::printf("\"%s\": {", name);
    for (std::size_t i = 0; i < states.size(); ++i) {
      std::printf("%s\"%s\": [", i == 0 ? "" : ", ", states[i].second);
      for (std::size_t k = 0; k < of[i].size(); ++k) std::printf("%s%s", k == 0 ? "" : ", ", told(of[i][k], all.samples()).c_str());
      std::printf("]");
    }
    std::printf("}");
  };
  std::printf("{");
  print("idle", idle);
  std::printf(", ");
  print("loaded", loaded);
  std::printf(", %s}\n", latencies::resources().c_str());
}

}  // namespace pagestore_beside
