#pragma once

#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// Stores whose whole committed content is known, and a look at what a store says of itself.
namespace pagestore_scene {

using contrail::errc;
using namespace contrail::pagestore;
using contrail::io::simulated_disk;

/// (file of the database, page) to its whole payload; what is missing is not allocated.
using content = std::map<std::pair<std::string, page_no>, std::string>;

inline parameters small_instance(const std::filesystem::path& directory = "/store") {
  parameters p;
  p.directory = directory;
  p.page_size = 4096;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.log_write_unit = 512;
  p.cache_size = 64;
  p.checkpoint_depth = 1U << 20U;
  p.growth = 16;
  p.lazy_delay = std::chrono::milliseconds(1);
  return p;
}

constexpr std::size_t payload_bytes = 4096 - 40;

/// The payload of a page: mostly a short text, at times all of it, so that logs have images with and without a hole, and deltas.
inline std::string payload_of(std::uint64_t stamp) {
  std::mt19937_64 random(stamp);
  std::string out(payload_bytes, '\0');
  const std::size_t used = stamp % 5 == 0 ? out.size() : 100 + random() % 300;
  const std::size_t from = used == out.size() ? 0 : random() % (out.size() - used);
  for (std::size_t i = 0; i < used; ++i) out[from + i] = static_cast<char>(random());
  return out;
}

/// Runs a coroutine to its end on a context of its own; one that does not come to its end within minutes throws.
template <typename Make>
void run_bounded(Make make) {
  auto context = std::make_unique<asio::io_context>(1);
  bool over = false;
  std::exception_ptr failure;
  auto done = [&](std::exception_ptr e) {
    over = true;
    failure = std::move(e);
  };
  asio::co_spawn(*context, make(context->get_executor()), std::move(done));
  context->run_for(std::chrono::seconds(120));
  context.reset();
  if (!over) throw std::runtime_error("the store came to a standstill");
  if (failure) std::rethrow_exception(failure);
}

inline content of_page(std::string name, page_no n, std::uint64_t stamp) {
  content out;
  out[{std::move(name), n}] = payload_of(stamp);
  return out;
}
inline content of_page(page_no n, std::uint64_t stamp) { return of_page("a.db", n, stamp); }

/// Opens a store, does something with it, and ends it as a crash would, unless `what` has ended it.
inline void on(simulated_disk& disk, const parameters& how, const std::function<asio::awaitable<void>(instance&)>& what) {
  run_bounded([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::io::file_system fs = disk.mount(ex);
    instance store = co_await instance::open(ex, how, &fs);
    co_await what(store);
    co_await store.terminate(term_mode::dirty);
  });
}

/// What an operation fails with; nothing when it does not.
template <typename Work>
asio::awaitable<std::error_code> code_of(Work work) {
  std::error_code out;
  try {
    co_await std::move(work);
  } catch (const std::system_error& e) {
    out = e.code();
  }
  co_return out;
}
template <typename T>
asio::awaitable<void> dropped(asio::awaitable<T> work) {
  const T value = co_await std::move(work);
  static_cast<void>(value);
}
inline asio::awaitable<void> commit_of(transaction& t, durability how = durability::durable) {
  const commit_info done = co_await t.commit(how);
  static_cast<void>(done);
}
inline asio::awaitable<std::string> payload_at(transaction& t, database d, page_no n) {
  std::string out(payload_bytes, '\0');
  const std::size_t count = co_await t.read(d, n, 0, asio::buffer(out));
  out.resize(count);
  co_return out;
}
/// A page with the payload of a stamp, committed.
inline asio::awaitable<page_no> one_page(instance& store, database d, std::uint64_t stamp) {
  transaction t = store.begin();
  const page_no n = co_await t.allocate(d);
  const std::string bytes = payload_of(stamp);
  co_await t.write(d, n, 0, asio::buffer(bytes));
  co_await commit_of(t);
  co_return n;
}
inline asio::awaitable<void> overwrite(instance& store, database d, page_no n, std::uint64_t stamp, durability how = durability::durable) {
  transaction t = store.begin();
  const std::string bytes = payload_of(stamp);
  co_await t.write(d, n, 0, asio::buffer(bytes));
  co_await commit_of(t, how);
}
inline asio::awaitable<bool> holds(instance& store, database d, page_no n, std::uint64_t stamp) {
  transaction t = store.begin();
  const std::string found = co_await payload_at(t, d, n);
  co_return found == payload_of(stamp);
}

/// Is it the path of a file of this name, as this system writes it?
inline bool is_path_of(const std::string& path, const std::string& name) { return std::filesystem::path(path).filename() == name; }

/// Something that a store answered instead of data.
struct failure {
  failure() = default;
  std::string place;                     ///< "open", "attach a.db", "a.db 7", ...
  std::error_code code;
  std::string file;
  std::optional<std::uint64_t> offset;
  std::string text;
};

struct finding {
  finding() = default;
  std::string wrong;                     ///< what no store may ever answer
  std::vector<failure> failures;
  bool opened = false;
  bool exact() const { return wrong.empty() && failures.empty(); }
  std::string words() const {
    std::string out = wrong;
    for (const failure& f : failures) out += "\n  " + f.place + ": " + f.text;
    return out;
  }
};

inline void note(finding& into, std::string place, const std::exception_ptr& what) {
  failure f;
  f.place = std::move(place);
  try {
    std::rethrow_exception(what);
  } catch (const contrail::error& e) {
    f.code = e.code();
    f.file = e.details().file;
    f.offset = e.details().offset;
    f.text = e.what();
  } catch (const std::exception& e) {
    into.wrong += f.place + ": no error of the library's: " + e.what() + "; ";
    return;
  }
  into.failures.push_back(std::move(f));
}

inline std::set<std::string> names_in(const content& c) {
  std::set<std::string> out;
  for (const auto& [k, bytes] : c) out.insert(k.first);
  return out;
}

/// Reads every page of a database, and holds it against what must be there.
inline asio::awaitable<void> compare(instance& store, database d, std::string name, const content& expected, finding& out) {
  const std::uint32_t pages = co_await store.pages(d);
  page_no most = pages;
  for (const auto& [k, bytes] : expected) {
    if (k.first == name) most = std::max(most, k.second);
  }
  transaction t = store.begin();
  for (page_no n = 1; n <= most; ++n) {
    const auto wanted = expected.find({name, n});
    const std::string place = name + " " + std::to_string(n);
    std::exception_ptr failed;
    bool absent = false;
    std::string bytes;
    try {
      bytes = co_await payload_at(t, d, n);
    } catch (const contrail::error& e) {
      absent = e.code() == errc::page_not_initialized;
      if (!absent) failed = std::current_exception();
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed) note(out, place, failed);
    else if (absent && wanted != expected.end()) out.wrong += place + ": is said not to be allocated; ";
    else if (!absent && wanted == expected.end()) out.wrong += place + ": is said to be allocated; ";
    else if (!absent && bytes != wanted->second) out.wrong += place + ": other bytes; ";
  }
}

/// New pages in each database that is sound, where none is in use; `expected` grows by them.
inline asio::awaitable<void> use(instance& store, const std::map<std::string, database>& attached, content& expected, finding& out) {
  std::uint64_t stamp = 900000001;
  for (const auto& [name, d] : attached) {
    std::exception_ptr failed;
    content added;
    try {
      transaction t = store.begin();
      for (unsigned i = 0; i < 3; ++i) {
        const page_no n = co_await t.allocate(d);
        if (expected.count({name, n}) != 0) out.wrong += name + ": allocates page " + std::to_string(n) + ", which is in use; ";
        const std::string bytes = payload_of(++stamp);
        co_await t.write(d, n, 0, asio::buffer(bytes));
        added[{name, n}] = bytes;
      }
      co_await commit_of(t);
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed) note(out, "use " + name, failed);
    else for (auto& [k, bytes] : added) expected[k] = bytes;
  }
}

inline asio::awaitable<void> look_once(asio::any_io_executor ex, contrail::io::file_system fs, parameters how, content& expected, bool with_use,
                                       finding& out) {
  instance store;
  std::exception_ptr failed;
  try {
    store = co_await instance::open(ex, how, &fs);
    out.opened = true;
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed) {
    note(out, "open", failed);
    co_return;
  }
  std::map<std::string, database> attached;
  for (const std::string& name : names_in(expected)) {
    failed = nullptr;
    try {
      const database d = co_await store.attach(name);
      attached[name] = d;
      co_await compare(store, d, name, expected, out);
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed) note(out, "attach " + name, failed);
  }
  if (with_use && out.wrong.empty()) co_await use(store, attached, expected, out);
  failed = nullptr;
  try {
    const statistics sums = co_await store.counters();
    if (sums.invariants_broken != 0) out.wrong += "the store says that an invariant was broken; ";
    co_await store.terminate(term_mode::complete);
  } catch (...) {
    failed = std::current_exception();
  }
  if (failed) {
    note(out, "terminate", failed);
    co_await store.terminate(term_mode::dirty);
  }
}

/// Opens, reads everything; if it is sound so far, uses it, ends it cleanly, and looks again.
inline finding look(simulated_disk& disk, const parameters& how, content expected, bool with_use) {
  finding out;
  const unsigned rounds = with_use ? 2 : 1;
  for (unsigned i = 0; i < rounds && out.exact(); ++i) {
    try {
      run_bounded([&](asio::any_io_executor ex) { return look_once(ex, disk.mount(ex), how, expected, with_use && i == 0, out); });
    } catch (const std::exception& e) {
      out.wrong += std::string("look: ") + e.what();
    }
  }
  return out;
}

/// A store with a history on a disk, as it was left.
struct scene {
  scene() = default;
  parameters how = small_instance();
  simulated_disk disk;
  content expected;
  content before_last;                                  ///< without the last commit
  std::map<std::string, std::string> earlier;           ///< files in the middle of the history
};

struct scene_plan {
  bool clean = false;
  bool circular = false;
  std::uint64_t seed = 1;
};

inline asio::awaitable<void> random_transactions(instance& store, const std::map<std::string, database>& in, content& model, std::mt19937_64& random,
                                                 unsigned count) {
  std::vector<std::string> names;
  for (const auto& [name, d] : in) names.push_back(name);
  for (unsigned i = 0; i < count; ++i) {
    transaction t = store.begin();
    content changed = model;
    const unsigned changes = 1 + static_cast<unsigned>(random() % 4);
    for (unsigned c = 0; c < changes; ++c) {
      const std::string name = names[random() % names.size()];
      const database d = in.at(name);
      std::vector<page_no> mine;
      for (const auto& [k, bytes] : changed) {
        if (k.first == name) mine.push_back(k.second);
      }
      const unsigned what = static_cast<unsigned>(random() % 10);
      if (mine.size() < 6 || (what < 3 && mine.size() < 28)) {
        const page_no n = co_await t.allocate(d, static_cast<page_no>(1 + random() % 30));
        const std::string bytes = payload_of(random() % 100000);
        co_await t.write(d, n, 0, asio::buffer(bytes));
        changed[{name, n}] = bytes;
      } else if (what == 3) {
        const page_no n = mine[random() % mine.size()];
        co_await t.free(d, n);
        changed.erase({name, n});
      } else {
        const page_no n = mine[random() % mine.size()];
        const std::string bytes = payload_of(random() % 100000).substr(0, 60);
        const std::size_t at = random() % 3900;
        co_await t.write(d, n, at, asio::buffer(bytes));
        changed[{name, n}].replace(at, bytes.size(), bytes);
      }
    }
    const durability how = random() % 3 == 0 ? durability::durable : durability::lazy;
    co_await commit_of(t, how);
    model = std::move(changed);
  }
}

inline asio::awaitable<void> build(asio::any_io_executor ex, contrail::io::file_system fs, scene& s, scene_plan plan) {
  std::mt19937_64 random(plan.seed);
  instance store = co_await instance::open(ex, s.how, &fs);
  std::map<std::string, database> all;
  for (const char* const name : {"a.db", "b.db", "c.db"}) {
    const database d = co_await store.create(name);
    all[name] = d;
  }
  const unsigned rounds = plan.circular ? 6 : 1;
  for (unsigned i = 0; i < rounds; ++i) {
    co_await random_transactions(store, all, s.expected, random, 40);
    if (!plan.circular) continue;
    co_await dropped(store.roll());
    co_await store.checkpoint();
  }
  co_await store.detach(all.at("c.db"));
  all.erase("c.db");
  co_await random_transactions(store, all, s.expected, random, 20);
  co_await store.checkpoint();
  s.earlier = s.disk.files(s.how.directory);
  co_await random_transactions(store, all, s.expected, random, 20);
  co_await dropped(store.roll());
  co_await random_transactions(store, all, s.expected, random, 30);
  co_await dropped(store.roll());
  co_await random_transactions(store, all, s.expected, random, 10);
  // The last one has a batch of its own, of several sectors.
  for (unsigned i = 0; i < 2; ++i) {
    if (i == 1) s.before_last = s.expected;
    const auto at = s.expected.begin();
    const std::string bytes = payload_of(5 + 5 * i);
    transaction t = store.begin();
    co_await t.write(all.at(at->first.first), at->first.second, 0, asio::buffer(bytes));
    co_await commit_of(t);
    at->second = bytes;
  }
  const term_mode end = plan.clean ? term_mode::complete : term_mode::dirty;
  co_await store.terminate(end);
}

/// A store that was killed in the middle of its work, or ended cleanly: three databases, of which c.db was detached.
inline scene make_scene(const scene_plan& plan) {
  scene s;
  s.how.circular_logging = plan.circular;
  run_bounded([&](asio::any_io_executor ex) { return build(ex, s.disk.mount(ex), s, plan); });
  s.disk.crash(contrail::io::crash_mode::worst);
  return s;
}

}  // namespace pagestore_scene
