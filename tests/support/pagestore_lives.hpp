#pragma once

#include "support/pagestore_world.hpp"

/// The lives of a store: how one goes.
namespace pagestore_world {

constexpr std::uint64_t unbounded = std::numeric_limits<std::uint64_t>::max();

inline std::vector<contrail::io::disk_event> world::events() const {
  std::vector<contrail::io::disk_event> all = disk_.log();
  std::erase_if(all, [this](const contrail::io::disk_event& e) { return e.number < begun_at_; });
  return all;
}

// Nothing happened, or no more than that: a fault that the plan knows of. All else is thrown on.
inline world::answer world::judge(const std::system_error& e) {
  const std::error_code ec = e.code();
  if (ec == errc::write_conflict || ec == errc::page_not_initialized || ec == errc::version_store_out_of_memory) return answer::given_up;
  if (ec == errc::database_not_found || ec == errc::database_in_use) return answer::given_up;   // it has just gone, or it is just used
  if (!faulty_) throw;
  if (ec == errc::log_disk_full) ++sums_.log_disk_full;
  if (ec == errc::disk_full) ++sums_.data_disk_full;
  if (ec == errc::log_disk_full || ec == errc::disk_full) return answer::given_up;
  const bool known = ec == errc::instance_unavailable || ec == errc::instance_unavailable_log_disk_full || ec == errc::log_write_fail ||
                     ec == errc::disk_io || ec == errc::term_in_progress || ec == std::errc::io_error || ec == std::errc::no_space_on_device;
  if (!known) throw;
  // Of a read, or of a file that was to be attached: only that call fails.
  if (ec == std::errc::io_error || ec == errc::disk_io || ec == std::errc::no_space_on_device) return answer::given_up;
  died_ = true;
  return answer::dead;
}

inline std::map<std::string, std::string> world::contents() const {
  std::map<std::string, std::string> out = disk_.files("/store");
  std::erase_if(out, [](const auto& one) { return one.first.find(".lock") != std::string::npos; });
  return out;
}

inline void world::look_before() {
  for (unsigned i = 0; i < entries_.size(); ++i) {
    entries_[i].attached = entries_[i].leaving = entries_[i].unsure = false;
    entries_[i].clean.reset();
    if (!disk_.exists(path_of(i))) continue;
    const raw_database there = look_at_database(disk_.read_file(path_of(i)));
    if (!there.header || there.header->state != database_state::clean) continue;
    if (!there.sound) throw broken("a database with a clean header has a damaged page: " + name_of(i));
    state s;
    for (const auto& [n, stamp] : there.pages) s.emplace(key(i, n), stamp);
    entries_[i].clean = std::move(s);
    ++sums_.clean_headers;
  }
  if (!disk_.exists("/store/edb.log")) return;
  const raw_log log = look_at_log(disk_.read_file("/store/edb.log"));
  if (log.torn) ++sums_.torn_batches;
  if (log.stale) ++sums_.stale_logs;
}

// Nothing of it is only in memory, or only in the log, on any disk that may be left now.
inline void world::require_clean(unsigned i, simulated_disk& disk) const {
  const raw_database there = look_at_database(disk.read_file(path_of(i)));
  if (!there.header || there.header->state != database_state::clean) throw broken("a database that was let go of is not clean: " + name_of(i));
  state s, expected;
  for (const auto& [n, stamp] : there.pages) s.emplace(key(i, n), stamp);
  for (const auto& [k, stamp] : model_.newest())
    if (k.first == i) expected.emplace(k, stamp);
  if (s != expected) throw broken("a database that was let go of lacks changes: " + name_of(i) + describe_difference(expected, s));
}

inline void world::tell(const life_plan& plan) {
  std::ostringstream text;
  text << "\n  life: " << plan.writers << " writers, " << plan.transactions << " transactions" << (plan.wide ? ", wide" : "")
       << (plan.manager ? ", databases come and go" : "") << (plan.rolls ? ", rolls" : "") << (plan.recycle ? ", recycled logs" : "")
       << (how_.circular_logging ? ", circular" : "") << ", cache " << how_.cache_size << ", end " << static_cast<int>(plan.end);
  if (plan.power_fails_after) text << ", power fails after " << *plan.power_fails_after;
  for (const auto* list : {&plan.faults_at_open, &plan.faults}) {
    for (const auto& f : *list) {
      text << ", " << to_string(f.what) << " of '" << f.path << "' number " << f.nth << (list == &plan.faults ? "" : " while it opens")
           << (f.lasting ? " and all later ones" : "") << " fails: " << f.error.message();
    }
  }
  if (plan.room) text << ", room for " << *plan.room << " bytes";
  if (plan.mended_after) text << ", mended after " << plan.mended_after->count() << " ms";
  story_ += text.str();
}

inline outcome world::live(const life_plan& plan) {
  ++sums_.lives;
  tell(plan);
  const outcome out = run(plan);
  constexpr std::array<const char*, 4> ends{": over", ": the power failed", ": the instance failed", ": refused"};
  story_ += ends[static_cast<std::size_t>(out)];
  count_events(plan);
  if (out == outcome::power_failed) {
    ++sums_.crashes;
    for (const mark& m : marks_) {
      if (m.end != ~std::uint64_t{0}) continue;
      if (m.what == place::opening) ++sums_.crashes_opening;
      if (m.what == place::ending) ++sums_.crashes_ending;
    }
    crash();
  } else if (out == outcome::died && plan.power_fails_if_died) {
    ++sums_.crashes;
    crash();
  }
  return out;
}

inline void world::count_events(const life_plan& plan) {
  for (const contrail::io::disk_event& e : events()) {
    if (e.what == contrail::io::disk_request::rename && e.second == "/store/edb.log" && !e.error) ++sums_.rolls;
    if (e.what == contrail::io::disk_request::rename && e.second == "/store/edbtmp.log" && !e.error) ++sums_.recycled;
    if (!faulty_ || !e.error) continue;
    bool planned = false;
    for (const auto* list : {&plan.faults, &plan.faults_at_open})
      for (const auto& f : *list) planned = planned || e.error == f.error;
    if (!planned) continue;
    ++sums_.faults;
    if (e.what == contrail::io::disk_request::sync) ++sums_.failed_syncs;
  }
}

inline outcome world::run(const life_plan& plan) {
  look_before();
  auto context = std::make_unique<asio::io_context>(1);
  contrail::io::file_system fs = disk_.mount(context->get_executor());
  bool over = false;
  std::exception_ptr failure;
  halted_ = refused_ = died_ = false;
  if (plan.circular) how_.circular_logging = true;
  faulty_ = !plan.faults.empty() || !plan.faults_at_open.empty() || plan.room || plan.recycle;
  marks_.clear();
  begun_at_ = disk_.operations();
  auto done = [&](std::exception_ptr e) {
    over = true;
    failure = std::move(e);
  };
  disk_.clear_faults();
  disk_.halt_after(std::uint64_t{1} << 60, {});   // that of the last life, if it was not reached
  if (plan.power_fails_after) disk_.halt_after(*plan.power_fails_after, [this] { halted_ = true; });
  asio::co_spawn(*context, life(context->get_executor(), fs, plan), done);
  const bool ended = run_(*context, [&] { return over || halted_; });
  context.reset();
  disk_.clear_faults();
  disk_.set_capacity(unbounded);
  if (halted_) return outcome::power_failed;
  if (failure) std::rethrow_exception(failure);
  if (!ended) throw broken("the store came to a standstill");
  return refused_ ? outcome::refused : died_ ? outcome::died : outcome::over;
}

inline asio::awaitable<bool> world::open_store(instance& store, asio::any_io_executor ex, contrail::io::file_system fs, const life_plan& plan) {
  begin_mark(place::opening);
  for (const auto& f : plan.faults_at_open) disk_.add(f);
  std::map<std::string, std::string> before;
  if (plan.may_refuse) before = contents();
  try {
    instance opened = co_await instance::open(ex, how_, &fs);
    store = std::move(opened);
  } catch (const std::system_error& e) {
    const bool missing = e.code() == errc::missing_log_file || e.code() == errc::required_log_files_missing ||
                         e.code() == errc::attached_database_mismatch;
    if (plan.may_refuse && missing) {
      refused_ = true;
    } else if (!plan.faults_at_open.empty()) {
      died_ = true;
      ++sums_.refused_opens_by_faults;
    } else {
      throw;
    }
  }
  disk_.clear_faults();
  if (refused_ && contents() != before) throw broken("a store that was refused is not as it was");
  marks_.back().end = disk_.operations() - begun_at_;
  co_return !refused_ && !died_;
}

inline asio::awaitable<void> world::life(asio::any_io_executor ex, contrail::io::file_system fs, life_plan plan) {
  instance store;
  const bool opened = co_await open_store(store, ex, fs, plan);
  if (!opened) co_return;
  try {
    co_await attach_all(store);
  } catch (const contrail::error& e) {
    // In use with the log that is gone, and nothing else tells of that one.
    refused_ = plan.may_refuse && e.code() == errc::database_dirty_shutdown;
    if (!refused_) throw;
  }
  if (refused_) {
    co_await store.terminate(term_mode::dirty);
    co_return;
  }
  co_await look(store);
  for (const auto& f : plan.faults) disk_.add(f);
  if (plan.room) disk_.set_capacity(disk_.used_bytes() + *plan.room);
  co_await work(store, ex, plan);
  disk_.clear_faults();
  disk_.set_capacity(unbounded);
  try {
    if (!died_) {
      const state seen = co_await all_pages(store);
      const state expected = attached_part(model_.newest());
      if (seen != expected) throw broken("a running store shows another state than was committed" + describe_difference(expected, seen));
      const statistics sums = co_await store.counters();
      if (sums.invariants_broken != 0) throw broken("the store says that one of its invariants was broken");
      sums_.rounds += sums.rounds;
      if (seen.size() > how_.cache_size) ++sums_.evictions;   // all of them were read
      if (faulty_) ++sums_.lived_on;
    }
  } catch (const std::system_error& e) {
    static_cast<void>(judge(e));
    if (!died_) throw;
  }
  if (died_) ++sums_.died;
  co_await end(store, plan);
}

inline asio::awaitable<void> world::work(instance& store, asio::any_io_executor ex, const life_plan& plan) {
  const unsigned all_workers = plan.writers + (plan.manager ? 1 : 0) + (plan.mended_after ? 1 : 0);
  auto left = std::make_shared<unsigned>(all_workers);
  auto all = std::make_shared<asio::steady_timer>(ex, asio::steady_timer::time_point::max());
  std::vector<std::exception_ptr> failures(all_workers);
  unsigned next = 0;
  const auto begin = [&](asio::awaitable<void> what) {
    auto ended = [&failures, w = next++, left, all](std::exception_ptr e) {
      failures[w] = std::move(e);
      if (--*left == 0) all->cancel();
    };
    asio::co_spawn(ex, std::move(what), std::move(ended));
  };
  for (unsigned w = 0; w < plan.writers; ++w) begin(write(store, plan));
  if (plan.manager) begin(manage(store, ex, 2 + plan.transactions / 4));
  if (plan.mended_after) begin(mend(ex, *plan.mended_after));
  while (*left != 0) {
    try {
      co_await all->async_wait(asio::use_awaitable);
    } catch (const std::system_error&) {
      // Cancelled: they are done.
    }
  }
  for (const auto& f : failures)
    if (f) std::rethrow_exception(f);
}

inline asio::awaitable<void> world::end(instance& store, const life_plan& plan) {
  begin_mark(place::ending);
  bool ended = true;
  try {
    co_await store.terminate(plan.end);
  } catch (const std::system_error& e) {
    if (!faulty_) throw;
    ended = false;   // by what happened before
    died_ = true;
  }
  marks_.back().end = disk_.operations() - begun_at_;
  if (!ended || died_ || plan.end == term_mode::dirty) co_return;
  model_.confirm_all();
  if (plan.end != term_mode::complete) co_return;
  ++sums_.clean_ends;
  simulated_disk left = disk_.after_crash(crash_mode::worst);
  for (unsigned i = 0; i < entries_.size(); ++i)
    if (entries_[i].made && i != away_) require_clean(i, left);
}

inline asio::awaitable<void> world::attach_all(instance& store) {
  begin_mark(place::attaching);
  for (unsigned i = 0; i < entries_.size(); ++i) {
    if (i == away_) continue;
    entry& e = entries_[i];
    try {
      e.id = co_await store.attach(name_of(i));
      e.attached = e.made = true;
      ++sums_.attaches;
    } catch (const contrail::error& failed) {
      // Its creation was interrupted: it is not there, or is told to be unfinished.
      if (e.made || (failed.code() != errc::file_not_found && failed.code() != errc::database_corrupted)) throw;
    }
    if (e.attached || (i >= 2 && any(3) != 0)) continue;
    // What is left of an interrupted creation is taken over.
    begin_mark(place::creating);
    e.id = co_await store.create(name_of(i));
    marks_.back().end = disk_.operations() - begun_at_;
    e.attached = e.made = true;
    ++sums_.creates;
  }
  for (mark& m : marks_) m.end = std::min(m.end, disk_.operations() - begun_at_);
}

inline asio::awaitable<void> world::manage(instance& store, asio::any_io_executor ex, unsigned rounds) {
  for (unsigned i = 0; i < rounds && !died_; ++i) {
    asio::steady_timer pause(ex, std::chrono::microseconds(any(3000)));
    co_await pause.async_wait(asio::use_awaitable);
    try {
      co_await change_databases(store);
    } catch (const std::system_error& e) {
      static_cast<void>(judge(e));
    }
  }
}

inline asio::awaitable<void> world::change_databases(instance& store) {
  const auto i = static_cast<unsigned>(any(entries_.size()));
  entry& e = entries_[i];
  if (i == away_ || e.leaving) co_return;
  if (e.attached) {
    co_await detach_one(store, i);
  } else if (e.made && replace_file(i)) {
    co_return;
  } else if (e.made) {
    begin_mark(place::attaching);
    const std::size_t mine = marks_.size() - 1;
    e.unsure = true;
    const database id = co_await store.attach(name_of(i));
    e.unsure = false;
    marks_[mine].end = disk_.operations() - begun_at_;
    e.id = id;
    e.attached = true;
    e.leaving = false;
    ++sums_.attaches;
  } else {
    begin_mark(place::creating);
    const std::size_t mine = marks_.size() - 1;
    const database id = co_await store.create(name_of(i));
    marks_[mine].end = disk_.operations() - begun_at_;
    e.id = id;
    e.attached = e.made = true;
    e.leaving = false;
    ++sums_.creates;
  }
}

// Of one that is not attached, by somebody who knows what he does: it is dropped, and its name free again, or an older copy takes its place.
inline bool world::replace_file(unsigned i) {
  entry& e = entries_[i];
  const auto what = any(5);
  if (e.unsure) return false;
  if (what == 0) {
    disk_.remove(path_of(i));
    model_.forget(i);
    e.made = false;
    ++sums_.dropped;
  } else if (what < 3 && !e.copy.empty()) {
    disk_.write_file(path_of(i), e.copy);
    model_.put_back(i, e.copied);
    ++sums_.put_back;
  } else {
    return false;
  }
  return true;
}

inline asio::awaitable<void> world::detach_one(instance& store, unsigned i) {
  entry& e = entries_[i];
  // Transactions that are open on it end soon; no new ones begin.
  e.leaving = true;
  begin_mark(place::detaching);
  const std::size_t mine = marks_.size() - 1;
  std::exception_ptr failure;
  for (unsigned tries = 0; tries < 50; ++tries) {
    const lgpos before = model_.last();
    bool in_use = false;
    try {
      co_await store.detach(e.id);
      model_.confirm(before);
    } catch (const std::system_error& failed) {
      in_use = failed.code() == errc::database_in_use;
      if (!in_use) failure = std::current_exception();
    }
    if (!in_use) break;
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, std::chrono::microseconds(50));
    co_await pause.async_wait(asio::use_awaitable);
    if (tries == 49) failure = std::make_exception_ptr(std::system_error(contrail::make_error_code(errc::database_in_use)));
  }
  marks_[mine].end = disk_.operations() - begun_at_;
  e.leaving = false;
  if (failure) std::rethrow_exception(failure);
  e.attached = false;
  ++sums_.detaches;
  simulated_disk left = disk_.after_crash(crash_mode::worst);
  require_clean(i, left);
  if (any(2) != 0) co_return;
  e.copy = left.read_file(path_of(i));
  e.copied.clear();
  for (const auto& [k, stamp] : model_.newest())
    if (k.first == i) e.copied.emplace(k, stamp);
}

inline asio::awaitable<void> world::mend(asio::any_io_executor ex, std::chrono::milliseconds after) {
  asio::steady_timer pause(ex, after);
  co_await pause.async_wait(asio::use_awaitable);
  disk_.clear_faults();
  disk_.set_capacity(unbounded);
}

// The next log file cannot be made ahead, but what the round makes free can be taken for it.
inline asio::awaitable<void> world::recycle(instance& store) {
  contrail::io::disk_fault full;
  full.what = contrail::io::disk_request::open;
  full.path = "edbtmp.log";
  full.nth = 1;   // behind the roll's own
  full.error = std::make_error_code(std::errc::no_space_on_device);
  disk_.add(full);
  try {
    const lgpos first = co_await store.roll();
    static_cast<void>(first);
    co_await store.checkpoint();
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer pause(ex, std::chrono::milliseconds(1100));
    co_await pause.async_wait(asio::use_awaitable);
  } catch (const std::system_error& e) {
    static_cast<void>(judge(e));
  }
}

}  // namespace pagestore_world
