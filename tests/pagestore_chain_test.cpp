#include "engines/pagestore/backup/set_state.hpp"
#include "engines/pagestore/format/log_names.hpp"
#include "support/pagestore_chains.hpp"
#include "support/sweep.hpp"
#include "support/temp_directory.hpp"

#include <catch2/catch.hpp>

// Full sets, and the incremental and differential ones that build on them: each is restored to what was committed before its logs end.

using namespace pagestore_chains;

namespace {

/// Detached and attached again, with changes of others, and of the log, meanwhile.
asio::awaitable<void> let_go_for_a_while(instance& store, books& b) {
  const unsigned one = static_cast<unsigned>(b.any(b.databases.size()));
  co_await store.detach(b.databases[one].second);
  b.usable.clear();
  for (unsigned i = 0; i < b.databases.size(); ++i)
    if (i != one) b.usable.push_back(i);
  co_await some(store, b, static_cast<unsigned>(b.any(20)));
  if (b.any(2) == 0) {
    const lgpos rolled = co_await store.roll();
    static_cast<void>(rolled);
  }
  b.databases[one].second = co_await store.attach(b.databases[one].first);
  b.usable.clear();
}

asio::awaitable<instance> next_life(asio::any_io_executor ex, history& h, instance before) {
  const std::uint64_t how = h.all.any(4);
  const term_mode mode = how == 0 ? term_mode::complete : how == 1 ? term_mode::abrupt : term_mode::dirty;
  co_await before.terminate(mode);
  instance after = co_await instance::open(ex, h.how);
  co_await h.attach_all(after);
  const state found = co_await all_pages(after, h.all.databases);
  const bool known = h.all.cut_to(found);
  CHECK(known);
  co_return after;
}

asio::awaitable<void> live(asio::any_io_executor ex, history& h, unsigned steps) {
  instance store = co_await instance::open(ex, h.how);
  co_await h.make(store);
  bool shortened = false;   // an incremental one has deleted logs that a differential would need
  for (unsigned step = 0; step < steps; ++step) {
    const std::uint64_t between = h.all.any(5);
    if (between == 0) co_await let_go_for_a_while(store, h.all);
    if (between == 1) store = co_await next_life(ex, h, std::move(store));
    if (between == 2) co_await store.checkpoint();
    co_await some(store, h.all, static_cast<unsigned>(h.all.any(60)));
    const std::uint64_t choice = h.full ? h.all.any(8) : 0;
    const kind what = choice == 0 ? kind::full : choice == 1 ? kind::copy : choice < 4 ? kind::differential : kind::incremental;
    const bool truncate = (what == kind::full || what == kind::incremental) && h.all.any(3) == 0;
    std::error_code code;
    const std::function<asio::awaitable<void>()> work = [&]() -> asio::awaitable<void> { code = co_await h.add(store, what, truncate); };
    co_await h.beside(store, 1 + static_cast<unsigned>(h.all.any(3)), work);
    CAPTURE(step, to_string(what));
    if (what == kind::full) shortened = false;
    if (what == kind::incremental && truncate) shortened = true;
    const bool may_lack = what == kind::differential && shortened && code == errc::missing_file_to_backup;
    CHECK((!code || may_lack));
  }
  const statistics sums = co_await store.counters();
  CHECK(sums.invariants_broken == 0);
  co_await store.terminate(term_mode::complete);
}

}  // namespace

TEST_CASE("pagestore_chain: each set is restored to what was committed before its logs end, whatever lies between", "[pagestore_chain]") {
  const std::uint64_t step = sweep::step();
  unsigned chained = 0;
  for (std::uint64_t seed = 1; seed <= 4; seed += step) {
    CAPTURE(seed);
    temp_directory dir;
    history h(seed, dir / "");
    on([&](asio::any_io_executor ex) { return live(ex, h, 10); });
    REQUIRE(h.sets.size() > 2);   // which kinds they are, and which are refused, also depends on how writers and backups meet
    for (const kept_set& one : h.sets)
      if (!one.info->parent.empty()) ++chained;
    h.check_all(dir / "out");
    if (seed == 1) CHECK(h.proof(true, dir / "scratch").empty());
  }
  CHECK(chained > 0);
}

namespace {

/// Three databases, and what a test does in their first life.
asio::awaitable<void> in_one_life(asio::any_io_executor ex, history& h, std::function<asio::awaitable<void>(instance&)> what) {
  instance store = co_await instance::open(ex, h.how);
  co_await h.make(store);
  co_await what(store);
  co_await store.terminate(term_mode::complete);
}

void live_once(history& h, const std::function<asio::awaitable<void>(instance&)>& what) {
  on([&](asio::any_io_executor ex) { return in_one_life(ex, h, what); });
}

void flip_bytes(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(at);
  const int was = file.get();
  file.seekp(at);
  file.put(static_cast<char>(was ^ 0x40));
}

void copy_over(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove(to);   // not every library overwrites
  std::filesystem::copy_file(from, to);
}

/// A set that differs from another one in its manifest alone.
manifest_ptr altered(const manifest_ptr& from, const std::function<void(manifest&)>& how) {
  manifest out(*from);
  how(out);
  return std::make_shared<const manifest>(out);
}

std::error_code checked(const std::vector<manifest_ptr>& chain) {
  std::error_code out;
  on([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::pagestore_restorer restorer(ex);
    try {
      co_await restorer.check_chain(chain);
    } catch (const contrail::error& e) {
      out = e.code();
    }
  });
  return out;
}

manifest_ptr with_state(const manifest_ptr& from, const std::string& key, const std::string& value) {
  return altered(from, [&](manifest& m) {
    const std::string name = "\"" + key + "\":";
    const std::size_t at = m.engine_state.find(name);
    REQUIRE(at != std::string::npos);
    m.engine_state.replace(at, m.engine_state.find_first_of(",}", at) - at, name + value);
  });
}

}  // namespace

TEST_CASE("pagestore_chain: a chain of many, and a differential set behind them", "[pagestore_chain]") {
  temp_directory dir;
  history h(31, dir / "");
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    co_await h.good(store, kind::full);
    for (unsigned i = 0; i < 12; ++i) {
      co_await some(store, h.all, 15);
      co_await h.good(store, kind::incremental);
    }
    co_await some(store, h.all, 15);
    co_await h.good(store, kind::differential);
    co_await h.good(store, kind::incremental);
  });
  REQUIRE(h.sets.size() == 15);
  for (std::size_t i = 1; i < 13; ++i) {
    CHECK(h.sets[i].info->logs.first == h.sets[i - 1].info->logs.end);
    CHECK(h.sets[i].info->parent == h.sets[i - 1].info->set);
    CHECK(h.sets[i].info->files == h.sets[i].info->logs.end - h.sets[i].info->logs.first);
  }
  CHECK(h.sets[13].info->parent == h.sets[0].info->set);
  CHECK(h.sets[13].info->logs.first == h.sets[0].info->logs.end);
  CHECK(h.sets[14].info->parent == h.sets[12].info->set);
  h.check_all(dir / "out");
  CHECK(h.proof(true, dir / "scratch").empty());
}

TEST_CASE("pagestore_chain: what an incremental backup may delete, and what it takes from a differential one", "[pagestore_chain]") {
  temp_directory dir;
  history h(32, dir / "");
  const auto logs = [&h] {
    std::size_t out = 0;
    for (const auto& e : std::filesystem::directory_iterator(h.how.directory)) out += e.path().extension() == ".log" ? 1U : 0U;
    return out;
  };
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    co_await h.good(store, kind::full);
    co_await some(store, h.all, 60);
    co_await h.good(store, kind::incremental);
    const std::size_t before = logs();
    co_await store.checkpoint();
    co_await h.good(store, kind::incremental, true);
    CHECK(logs() < before);
    co_await h.refused(store, kind::differential, h.full, errc::missing_file_to_backup);
    co_await some(store, h.all, 30);
    co_await h.good(store, kind::incremental);
    // One that is in no full set: there is nothing that its logs could be played over.
    const database four = co_await store.create("four.db");
    co_await h.refused(store, kind::incremental, h.newest);
    co_await h.good(store, kind::full);
    static_cast<void>(four);
    h.sets.pop_back();   // of four databases
  });
  h.check_all(dir / "out");
}

TEST_CASE("pagestore_chain: the set to build on is the one that the databases remember", "[pagestore_chain]") {
  temp_directory dir;
  history h(33, dir / "");
  const temp_directory elsewhere;
  history other(34, elsewhere / "");
  live_once(other, [&](instance& store) -> asio::awaitable<void> { co_await other.good(store, kind::full); });
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    const manifest_ptr none;
    co_await h.refused(store, kind::incremental, none);
    co_await h.good(store, kind::copy);
    const manifest_ptr copy = h.sets[0].info;
    co_await h.refused(store, kind::incremental, copy);
    co_await h.good(store, kind::full);
    const manifest_ptr first = h.full;
    const manifest_ptr foreign = altered(first, [](manifest& m) { m.engine = "sqlite"; });
    const manifest_ptr later = altered(first, [](manifest& m) { m.at.unix_nanoseconds += 1; });
    const manifest_ptr chained = altered(first, [](manifest& m) { m.what = kind::incremental; });
    // By the same id, place in the log and time.
    const manifest_ptr alike = altered(first, [&](manifest& m) {
      const std::string key = "\"log_random\":";
      const std::string& theirs = other.full->engine_state;
      const std::size_t there = theirs.find(key), here = m.engine_state.find(key);
      m.engine_state.replace(here, m.engine_state.find(',', here) - here, theirs.substr(there, theirs.find(',', there) - there));
    });
    for (const manifest_ptr& parent : {none, copy, other.full, foreign, later, chained, alike}) {
      co_await h.refused(store, kind::incremental, parent);
      co_await h.refused(store, kind::differential, parent);
    }
    co_await h.good(store, kind::incremental);
    co_await h.refused(store, kind::incremental, first);         // not the last one
    co_await h.refused(store, kind::differential, h.newest);     // not a full one
    co_await h.good(store, kind::incremental);
    co_await h.good(store, kind::full);
    co_await h.refused(store, kind::differential, first);
    co_await h.good(store, kind::differential);
  });
  h.check_all(dir / "out");
  // With circular logging there are none at all.
  const temp_directory third;
  history ring(35, third / "");
  ring.how.circular_logging = true;
  live_once(ring, [&](instance& store) -> asio::awaitable<void> {
    co_await ring.good(store, kind::full);
    co_await ring.refused(store, kind::incremental, ring.full, errc::invalid_backup);
    co_await ring.refused(store, kind::differential, ring.full, errc::invalid_backup);
  });
}

TEST_CASE("pagestore_chain: a link that is missing, or is another one", "[pagestore_chain]") {
  temp_directory dir;
  history h(36, dir / "");
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    co_await h.good(store, kind::full);
    for (unsigned i = 0; i < 3; ++i) {
      co_await some(store, h.all);
      co_await h.good(store, kind::incremental);
    }
  });
  const std::filesystem::path second = h.repo / h.sets[1].info->set;
  state found;
  SECTION("missing") {
    std::filesystem::rename(second, dir / "away");
    CHECK(h.proof(false, dir / "scratch").find("cannot be restored: ") != std::string::npos);
    CHECK(h.proof(true, dir / "scratch").find(h.sets[1].info->set) != std::string::npos);
  }
  SECTION("a log of it is damaged") {
    std::filesystem::path log;
    for (const auto& e : std::filesystem::directory_iterator(second))
      if (e.path().extension() == ".log") log = e.path();
    flip_bytes(log, 5000);
    CHECK(h.restored(h.sets[3].info->set, dir / "broken", found) == errc::set_damaged);
    CHECK_FALSE(std::filesystem::exists(dir / "broken"));
  }
  CHECK(h.restored(h.sets[0].info->set, dir / "good", found) == std::error_code());
  const std::error_code code = h.restored(h.sets[3].info->set, dir / "out", found);
  CHECK((code == errc::set_incomplete || code == errc::set_damaged));
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
}

TEST_CASE("pagestore_chain: chains that are put together wrongly are refused", "[pagestore_chain]") {
  temp_directory dir;
  history h(37, dir / "");
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    co_await h.good(store, kind::copy);
    co_await h.good(store, kind::full);
    for (unsigned i = 0; i < 2; ++i) {
      co_await some(store, h.all);
      const lgpos rolled = co_await store.roll();
      static_cast<void>(rolled);
      co_await h.good(store, kind::incremental);
    }
    co_await h.good(store, kind::differential);
  });
  const manifest_ptr copy = h.sets[0].info, full = h.sets[1].info, one = h.sets[2].info, two = h.sets[3].info, differential = h.sets[4].info;
  const auto low = [](const manifest_ptr& m, int by) { return with_state(m, "first_generation", std::to_string(static_cast<int>(m->logs.first) + by)); };
  CHECK(checked({copy}) == std::error_code());
  CHECK(checked({full, one, two}) == std::error_code());
  CHECK(checked({full, differential}) == std::error_code());
  CHECK(checked(std::vector<manifest_ptr>()) == errc::invalid_backup_sequence);
  CHECK(checked({full, manifest_ptr()}) == errc::invalid_backup_sequence);
  CHECK(checked({one}) == errc::missing_full_backup);
  CHECK(checked({one, two}) == errc::missing_full_backup);
  CHECK(checked({full, two}) == errc::invalid_backup_sequence);
  CHECK(checked({copy, one}) == errc::invalid_backup_sequence);
  CHECK(checked({full, full}) == errc::invalid_backup_sequence);
  CHECK(checked({full, one, differential}) == errc::invalid_backup_sequence);
  REQUIRE(one->logs.end - one->logs.first > 1);
  CHECK(checked({full, low(one, 1), two}) == errc::missing_restore_log_files);
  CHECK(checked({full, low(one, -1), two}) == errc::invalid_backup_sequence);
  CHECK(checked({full, with_state(one, "log_random", "5")}) == errc::invalid_backup_sequence);
  CHECK(checked({full, with_state(one, "page_size", "8192")}) == errc::invalid_backup_sequence);
  CHECK(checked({full, with_state(one, "mark", "5")}) == errc::set_damaged);
  CHECK(checked({full, altered(one, [](manifest& m) { m.parent_mark.position += 1; })}) == errc::invalid_backup_sequence);
  CHECK(checked({full, altered(one, [&](manifest& m) { m.engine_state = full->engine_state; m.at = full->at; })}) == errc::invalid_backup_sequence);
}

TEST_CASE("pagestore_chain: an older copy that was put back in between is noticed", "[pagestore_chain]") {
  temp_directory dir;
  history h(38, dir / "");
  // Before the full backup, or behind it: then the copy itself remembers it.
  const bool remembers = GENERATE(false, true);
  CAPTURE(remembers);
  const std::filesystem::path file = h.how.directory / "one.db", saved = dir / "saved.db";
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    if (remembers) co_await h.good(store, kind::full);
    co_await store.detach(h.all.databases[0].second);
    std::filesystem::copy_file(file, saved);
    h.all.databases[0].second = co_await store.attach("one.db");
    if (!remembers) co_await h.good(store, kind::full);
    co_await some(store, h.all);
    co_await h.good(store, kind::incremental);
    const manifest_ptr before = h.newest;
    co_await store.detach(h.all.databases[0].second);
    copy_over(saved, file);
    h.all.databases[0].second = co_await store.attach("one.db");
    co_await h.refused(store, kind::incremental, before);
    co_await h.refused(store, kind::differential, h.full);
    co_await h.good(store, kind::full);
    h.sets.back().expected.clear();   // what the copy had is in no books
    co_await h.good(store, kind::incremental);
    h.sets.back().expected.clear();
  });
  for (std::size_t i = 0; i < h.sets.size(); ++i) {
    CAPTURE(i);
    state found;
    CHECK(h.restored(h.sets[i].info->set, dir / ("out" + std::to_string(i)), found) == std::error_code());
    if (!h.sets[i].expected.empty()) CHECK(pagestore_world::describe_difference(h.sets[i].expected, found) == "; against the last:");
  }
}

TEST_CASE("pagestore_chain: logs that speak of another copy are not played over a set", "[pagestore_chain]") {
  temp_directory dir;
  history h(39, dir / "");
  const std::filesystem::path file = h.how.directory / "one.db", saved = dir / "saved.db";
  // What becomes of the database behind the full set: nothing but that it is let go of; another copy from then on; the same, and back again.
  const unsigned what = GENERATE(0U, 1U, 2U);
  CAPTURE(what);
  std::uint32_t last = 0;
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    database& d = h.all.databases[0].second;
    co_await store.detach(d);
    std::filesystem::copy_file(file, saved);
    d = co_await store.attach("one.db");
    co_await some(store, h.all);
    co_await h.good(store, kind::full);
    co_await some(store, h.all);
    co_await store.detach(d);
    std::filesystem::copy_file(file, dir / "newest.db");
    if (what != 0) copy_over(saved, file);
    d = co_await store.attach("one.db");
    if (what == 2) {
      co_await store.detach(d);
      copy_over(dir / "newest.db", file);
      d = co_await store.attach("one.db");
    }
    const lgpos rolled = co_await store.roll();
    last = rolled.generation() - 1;
  });
  // As if a backup had taken those logs.
  const manifest_ptr full = h.full;
  const std::filesystem::path into = dir / "work";
  std::filesystem::create_directory(into);
  contrail::recovery work;
  work.directory = into;
  const auto take = [&](const std::filesystem::path& from) {
    std::filesystem::copy_file(from, into / from.filename());
    contrail::restored_file one;
    one.name = from.filename().string();
    one.role = from.extension() == ".log" ? contrail::file_role::log : contrail::file_role::database;
    one.bytes = one.valid = std::filesystem::file_size(from);
    work.files.push_back(std::move(one));
  };
  for (const auto& e : std::filesystem::directory_iterator(h.repo / full->set))
    if (e.path().extension() == ".log" || e.path().extension() == ".db") take(e.path());
  set_state state = set_state::read(full->engine_state);
  state.low = state.high + 1;
  state.high = last;
  state.databases.clear();
  for (std::uint32_t g = state.low; g <= state.high; ++g) take(h.how.directory / log_name(h.how.base_name, g));
  const manifest_ptr next = altered(full, [&](manifest& m) {
    m.what = kind::incremental;
    m.set = "20261123T000000Z-00000001";
    m.parent = full->set;
    m.parent_mark = full->at;
    state.mark = full->at.position + 1;
    m.at.position = state.mark;
    m.engine_state = state.write();
  });
  work.chain = {full, next};
  CHECK(checked(work.chain) == std::error_code());
  std::error_code code;
  std::string words;
  on([&](asio::any_io_executor ex) -> asio::awaitable<void> {
    contrail::pagestore_restorer restorer(ex);
    try {
      const std::vector<std::string> kept = co_await restorer.recover(work);
      CHECK(kept.size() == 3);
    } catch (const contrail::error& e) {
      code = e.code();
      words = e.what();
    }
  });
  if (what != 1) {
    CHECK(code == std::error_code());
    const pagestore_world::state found = read_restored(into, h.all.databases);
    CHECK(pagestore_world::describe_difference(h.all.newest(), found) == "; against the last:");
  } else {
    CHECK(code == errc::database_patch_file_mismatch);
    CHECK(words.find("another copy of it was attached there") != std::string::npos);
  }
}

namespace {

/// A repository from which somebody takes a set away while another one is written.
class losing_sink final : public contrail::sink {
 public:
  losing_sink(directory_repository& inner, std::filesystem::path set, std::filesystem::path away)
      : inner_(inner), set_(std::move(set)), away_(std::move(away)) {}
  asio::awaitable<std::unique_ptr<contrail::set_writer>> begin(const contrail::set_header& header) override {
    std::unique_ptr<contrail::set_writer> out = co_await inner_.begin(header);
    std::filesystem::rename(set_, away_);
    co_return out;
  }

 private:
  directory_repository& inner_;
  const std::filesystem::path set_, away_;
};

std::size_t logs_in(const std::filesystem::path& directory) {
  std::size_t out = 0;
  for (const auto& e : std::filesystem::directory_iterator(directory))
    if (e.path().extension() == ".log") ++out;
  return out;
}

}  // namespace

TEST_CASE("pagestore_chain: no set, no record and no deleted log where the set to build on is not", "[pagestore_chain]") {
  temp_directory dir;
  history h(61, dir / "");
  const kind what = GENERATE(kind::incremental, kind::differential);
  live_once(h, [&](instance& store) -> asio::awaitable<void> {
    co_await h.good(store, kind::copy);
    co_await h.good(store, kind::full);
    co_await some(store, h.all);
    co_await store.checkpoint();
    const std::size_t logs = logs_in(h.how.directory);
    const bool truncate = what == kind::incremental;
    const std::filesystem::path right = std::exchange(h.repo, dir / "elsewhere");
    const std::error_code nowhere = co_await h.back_up(store, what, truncate, h.full);
    CHECK(nowhere == errc::missing_full_backup);
    CHECK_FALSE(std::filesystem::exists(h.repo));
    h.repo = right;
    const auto ex = co_await asio::this_coro::executor;
    directory_repository inner(ex, h.repo);
    losing_sink to(inner, h.repo / h.full->set, dir / "away");
    backup_options options;
    options.what = what;
    options.truncate_logs = truncate;
    std::error_code meanwhile;
    try {
      const backup_report ignored = co_await contrail::backup(store.backup_engine(), to, options, h.full);
      static_cast<void>(ignored);
    } catch (const contrail::error& e) {
      meanwhile = e.code();
    }
    CHECK(meanwhile == errc::missing_full_backup);
    const std::vector<contrail::set_entry> left = co_await inner.list();
    CHECK(left.size() == 1);
    CHECK(logs_in(h.how.directory) >= logs);
    std::filesystem::rename(dir / "away", h.repo / h.full->set);
    co_await h.good(store, what, truncate);   // on the full set, for nothing was recorded
    if (truncate) CHECK(logs_in(h.how.directory) < logs);
  });
  h.check_all(dir / "out");
  CHECK(h.proof(false, dir / "scratch").empty());
}
