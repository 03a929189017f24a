#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// A store under load, to be killed: pagestore_load run DIR SEED MILLISECONDS, or check DIR END.
// Each transaction moves money between two accounts in two of three databases, counts its writer's number up, and makes or frees a page.
// "writer number" is printed once that commit is durable. What must hold of it all is looked at after each open.

using namespace contrail::pagestore;
using contrail::errc;

namespace {

constexpr unsigned writers = 6;
constexpr unsigned accounts = 8;                  // in each database
constexpr std::uint64_t opening = 1000;
constexpr unsigned slots = 12;                    // pages that a writer may own beside
constexpr std::uint64_t never = 1ULL << 60;       // in what is rolled back
constexpr page_no first_account = 2;
constexpr page_no first_writer = first_account + accounts;
constexpr std::size_t second_place = 3000;        // where a page says again what it says in its beginning
const std::array<const char*, 3> names{"a.db", "b.db", "c.db"};

class broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct bank {
  bank() = default;
  instance store;
  std::array<database, 3> where{};
  std::mutex printing;
};

/// What the page of a writer holds.
struct own_page {
  std::uint64_t number = 0;
  std::array<std::uint64_t, slots> made{};   ///< pages, 0 for none
};

parameters how_to(const std::filesystem::path& directory) {
  parameters p;
  p.directory = directory;
  p.page_size = 4096;
  p.log_file_size = 192U << 10U;
  p.log_buffer = 64U << 10U;
  p.cache_size = 64;
  p.checkpoint_depth = 256U << 10U;
  p.growth = 16;
  p.circular_logging = contrail::io::to_text(directory).find("circular") != std::string::npos;
  return p;
}

template <typename T>
asio::awaitable<T> get(transaction& t, database d, page_no n) {
  std::array<char, 4096 - 40> page{};
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(page));
  T one{};
  if (count != page.size()) throw broken("a short page");
  if (std::memcmp(page.data(), page.data() + second_place, sizeof one) != 0) throw broken("a page of two halves: " + std::to_string(n));
  std::memcpy(static_cast<void*>(&one), page.data(), sizeof one);
  co_return one;
}

template <typename T>
asio::awaitable<void> put(transaction& t, database d, page_no n, const T& value) {
  const asio::const_buffer bytes(&value, sizeof value);
  co_await t.write(d, n, 0, bytes);
  co_await t.write(d, n, second_place, bytes);
}

asio::awaitable<bool> is_there(transaction& t, database d, page_no n) {
  bool out = true;
  try {
    char one = 0;
    const std::size_t count = co_await t.read(d, n, 0, asio::buffer(&one, 1));
    static_cast<void>(count);
  } catch (const contrail::error& e) {
    if (e.code() != errc::page_not_initialized) throw;
    out = false;
  }
  co_return out;
}

database home_of(const bank& b, unsigned writer) { return b.where[writer % names.size()]; }
page_no page_of(unsigned writer) { return first_writer + writer / static_cast<unsigned>(names.size()); }

asio::awaitable<void> open_bank(bank& b) {
  transaction t = b.store.begin();
  for (const database d : b.where) {
    for (page_no n = first_account; n < first_writer + writers / names.size(); ++n) {
      const page_no got = co_await t.allocate(d);
      if (got != n) throw broken("an account of another number");
      if (n < first_writer) {
        co_await put(t, d, n, opening);
      } else {
        const own_page none;
        co_await put(t, d, n, none);
      }
    }
  }
  const commit_info done = co_await t.commit();
  static_cast<void>(done);
}

/// Every page; throws when something is not as whole transactions leave it. The last number of each writer; none before the bank is open.
asio::awaitable<std::vector<std::uint64_t>> look(bank& b) {
  std::vector<std::uint64_t> out;
  transaction t = b.store.begin();
  const bool open = co_await is_there(t, b.where[0], first_account);
  std::array<std::set<page_no>, 3> used;
  if (open) {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < names.size(); ++i) {
      for (page_no n = first_account; n < first_writer; ++n) {
        const std::uint64_t balance = co_await get<std::uint64_t>(t, b.where[i], n);
        sum += balance;
        used[i].insert(n);
      }
    }
    if (sum != names.size() * accounts * opening) throw broken("the sum is " + std::to_string(sum));
    for (unsigned w = 0; w < writers; ++w) {
      const own_page mine = co_await get<own_page>(t, home_of(b, w), page_of(w));
      used[w % names.size()].insert(page_of(w));
      if (mine.number >= never) throw broken("what was rolled back is there");
      out.push_back(mine.number);
      for (unsigned s = 0; s < slots; ++s) {
        if (mine.made[s] == 0) continue;
        const unsigned in = (w + s) % static_cast<unsigned>(names.size());
        const auto n = static_cast<page_no>(mine.made[s]);
        if (!used[in].insert(n).second) throw broken("a page of two owners");
        const std::array<std::uint64_t, 2> mark = co_await get<std::array<std::uint64_t, 2>>(t, b.where[in], n);
        if (mark[0] != w * slots + s || mark[1] > mine.number) throw broken("a page of another content");
      }
    }
  }
  for (unsigned i = 0; i < names.size(); ++i) {
    const std::uint32_t pages = co_await b.store.pages(b.where[i]);
    for (page_no n = 2; n <= pages; ++n) {
      if (used[i].count(n) != 0) continue;
      const bool there = co_await is_there(t, b.where[i], n);
      if (there) throw broken("a page without an owner: " + std::string(names[i]) + " " + std::to_string(n));
    }
  }
  co_return out;
}

asio::awaitable<void> attach(bank& b, bool may_create) {
  for (unsigned i = 0; i < names.size(); ++i) {
    std::exception_ptr failure;
    try {
      b.where[i] = co_await b.store.attach(names[i]);
    } catch (const contrail::error& e) {
      // Its creation was cut short.
      const bool unfinished = e.code() == errc::file_not_found || e.code() == errc::database_corrupted;
      if (!unfinished || !may_create) throw;
      failure = std::current_exception();
    }
    if (failure) b.where[i] = co_await b.store.create(names[i]);
  }
}

void say(bank& b, unsigned writer, std::uint64_t number) {
  const std::lock_guard<std::mutex> alone(b.printing);
  std::printf("%u %llu\n", writer, static_cast<unsigned long long>(number));
  std::fflush(stdout);
}

asio::awaitable<void> one_transaction(bank& b, unsigned w, std::mt19937_64& random) {
  transaction t = b.store.begin();
  const unsigned from = static_cast<unsigned>(random() % names.size());
  const unsigned to = (from + 1 + static_cast<unsigned>(random() % 2)) % static_cast<unsigned>(names.size());
  const page_no payer = first_account + static_cast<page_no>(random() % accounts);
  const page_no payee = first_account + static_cast<page_no>(random() % accounts);
  own_page mine = co_await get<own_page>(t, home_of(b, w), page_of(w));
  ++mine.number;
  const unsigned s = static_cast<unsigned>(random() % slots);
  const database in = b.where[(w + s) % names.size()];
  if (mine.made[s] != 0) {
    co_await t.free(in, static_cast<page_no>(mine.made[s]));
    mine.made[s] = 0;
  } else {
    const page_no n = co_await t.allocate(in);
    const std::array<std::uint64_t, 2> mark{w * slots + s, mine.number};
    co_await put(t, in, n, mark);
    mine.made[s] = n;
  }
  std::uint64_t has = co_await get<std::uint64_t>(t, b.where[from], payer);
  std::uint64_t gets = co_await get<std::uint64_t>(t, b.where[to], payee);
  const std::uint64_t amount = std::min<std::uint64_t>(has, random() % 50);
  has -= amount;
  gets += amount;
  const bool give_up = random() % 12 == 0;
  if (give_up) mine.number = never;
  co_await put(t, b.where[from], payer, has);
  if (!give_up) co_await put(t, b.where[to], payee, gets);
  co_await put(t, home_of(b, w), page_of(w), mine);
  if (give_up) co_return;
  const durability how = random() % 4 == 0 ? durability::lazy : durability::durable;
  const commit_info done = co_await t.commit(how);
  static_cast<void>(done);
  if (how == durability::durable) say(b, w, mine.number);
}

asio::awaitable<void> write(bank& b, unsigned w, std::uint64_t seed, std::chrono::steady_clock::time_point end) {
  std::mt19937_64 random(seed * writers + w);
  while (std::chrono::steady_clock::now() < end) {
    bool conflict = false;
    try {
      co_await one_transaction(b, w, random);
    } catch (const contrail::error& e) {
      conflict = e.code() == errc::write_conflict;
      if (!conflict) throw;
    }
    if (w != 0) continue;
    const auto what = random() % 200;
    if (what == 0) co_await b.store.checkpoint();
    if (what != 1) continue;
    const lgpos first = co_await b.store.roll();
    static_cast<void>(first);
  }
}

asio::awaitable<void> run(std::filesystem::path directory, std::uint64_t seed, std::chrono::milliseconds time) {
  const auto ex = co_await asio::this_coro::executor;
  bank b;
  b.store = co_await instance::open(ex, how_to(directory));
  co_await attach(b, true);
  const std::vector<std::uint64_t> found = co_await look(b);
  if (found.empty()) co_await open_bank(b);
  std::printf("ready\n");
  std::fflush(stdout);
  const auto end = std::chrono::steady_clock::now() + time;
  std::atomic<unsigned> left{writers};
  std::atomic<bool> failed{false};
  for (unsigned w = 0; w < writers; ++w) {
    auto ended = [&left, &failed](std::exception_ptr e) {
      if (e) {
        failed = true;
        try {
          std::rethrow_exception(e);
        } catch (const std::exception& what) {
          std::fprintf(stderr, "writer: %s\n", what.what());
        }
      }
      --left;
    };
    asio::co_spawn(asio::make_strand(ex), write(b, w, seed, end), std::move(ended));
  }
  asio::steady_timer pause(ex);
  while (left != 0) {
    pause.expires_after(std::chrono::milliseconds(2));
    co_await pause.async_wait(asio::use_awaitable);
  }
  if (failed) throw broken("a writer failed");
  const std::vector<std::uint64_t> last = co_await look(b);
  if (last.size() != writers) throw broken("no bank");
  co_await b.store.terminate(term_mode::complete);
}

asio::awaitable<void> check(std::filesystem::path directory, term_mode end) {
  const auto ex = co_await asio::this_coro::executor;
  bank b;
  b.store = co_await instance::open(ex, how_to(directory));
  bool all = true;
  try {
    co_await attach(b, false);
  } catch (const contrail::error& e) {
    all = e.code() != errc::file_not_found && e.code() != errc::database_corrupted;
    if (all) throw;
  }
  std::vector<std::uint64_t> last;
  if (all) last = co_await look(b);
  const statistics sums = co_await b.store.counters();
  if (sums.invariants_broken != 0) throw broken("an invariant of the store was broken");
  const recovery_report report = b.store.recovered();
  std::printf("recovered %d %llu\n", report.ran ? 1 : 0, static_cast<unsigned long long>(report.changes));
  for (unsigned w = 0; w < last.size(); ++w) say(b, w, last[w]);
  co_await b.store.terminate(end);
  std::printf("good\n");
}

int usage() {
  std::fprintf(stderr, "usage: pagestore_load run DIR SEED MILLISECONDS\n       pagestore_load check DIR complete|abrupt|dirty\n");
  return 2;
}

int work(asio::awaitable<void> what) {
  asio::io_context context(2);
  std::exception_ptr failure;
  auto done = [&](std::exception_ptr e) {
    failure = std::move(e);
    if (failure) context.stop();
  };
  asio::co_spawn(asio::make_strand(context), std::move(what), std::move(done));
  std::thread other([&context] { context.run(); });
  context.run();
  other.join();
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return usage();
  const std::string what = argv[1];
  const std::filesystem::path directory = contrail::io::to_path(argv[2]);
  try {
    if (what == "run" && argc == 5) {
      return work(run(directory, std::strtoull(argv[3], nullptr, 10), std::chrono::milliseconds(std::strtoll(argv[4], nullptr, 10))));
    }
    if (what != "check" || argc != 4) return usage();
    const std::map<std::string, term_mode> ends = {{"complete", term_mode::complete}, {"abrupt", term_mode::abrupt}, {"dirty", term_mode::dirty}};
    const auto end = ends.find(argv[3]);
    if (end == ends.end()) return usage();
    return work(check(directory, end->second));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pagestore_load: %s\n", e.what());
    return 1;
  }
}
