#include "crash/schedules.hpp"

#include "crash/virtual_time.hpp"
#include "support/pagestore_world.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace schedules {

namespace {

using contrail::io::disk_event;
using contrail::io::disk_fault;
using contrail::io::disk_request;
using contrail::pagestore::term_mode;
using pagestore_world::life_plan;
using pagestore_world::mark;
using pagestore_world::outcome;
using pagestore_world::place;
using pagestore_world::world;

/// Where the power is to fail.
enum class target : std::uint8_t { anywhere, opening, first_batches, batch, log_files, header, checkpoint, ending, databases, page, header_opening,
                                    checkpoint_meanwhile };

bool has(const std::string& path, const char* part) { return path.find(part) != std::string::npos; }

bool on_log_files(const disk_event& e) {
  const bool names = e.what == disk_request::rename || e.what == disk_request::remove;
  return (names && has(e.path, "edb")) || e.what == disk_request::sync_directory || has(e.path, "edbtmp.log");
}

bool meets(const disk_event& e, std::uint64_t at, target what, const std::vector<mark>& marks) {
  const bool writes = e.what == disk_request::write;
  const auto within = [&](auto... places) {
    return std::any_of(marks.begin(), marks.end(), [&](const mark& m) { return ((m.what == places) || ...) && at >= m.begin && at < m.end; });
  };
  switch (what) {
    case target::anywhere: return true;
    case target::opening: return within(place::opening);
    case target::first_batches:
    case target::batch: return writes && has(e.path, "edb.log") && e.offset >= 4096;
    case target::log_files: return on_log_files(e);
    case target::header: return writes && has(e.path, "data") && e.offset < 8192;
    case target::checkpoint: return writes && has(e.path, "edb.chk");
    case target::ending: return within(place::ending);
    case target::databases: return within(place::attaching, place::creating, place::detaching);
    case target::header_opening: return writes && has(e.path, "data") && e.offset < 8192 && within(place::opening);
    case target::checkpoint_meanwhile: return writes && has(e.path, "edb.chk") && within(place::attaching, place::creating);
    case target::page: return writes && has(e.path, "data") && e.offset >= 8192;
  }
  return false;
}

class schedule {
 public:
  schedule(std::uint64_t seed, std::string only) : only_(std::move(only)), random_(seed ^ 0x9e3779b97f4a7c15ULL), world_(seed, options(seed), &schedule::run_context) {}

  pagestore_world::counts run();
  static bool has_kind(const std::string& name) {
    return std::any_of(kinds.begin(), kinds.end(), [&](const auto& k) { return name == k.first; });
  }

 private:
  using named_kind = std::pair<const char*, void (schedule::*)()>;
  static const std::array<named_kind, 12> kinds;
  static bool run_context(asio::io_context& context, const std::function<bool()>& over);
  contrail::io::disk_options options(std::uint64_t seed);

  std::uint64_t any(std::uint64_t n) { return random_() % n; }
  life_plan plan();
  outcome live(const life_plan& p) {
    world_.vary();
    return world_.live(p);
  }
  void crash_at(target what, life_plan p);
  void crash_at(target what) { crash_at(what, plan()); }
  void crash_somewhere();
  void fault(life_plan& p);
  void no_room(life_plan& p);

  void happen();
  void mixed();
  void openings();
  void twins();
  void rolls();
  void ends();
  void comings_and_goings();
  void faults();
  void full_disks();
  void recycled_logs();
  void missing_files();
  void clean_lives();

  const std::string only_;
  std::mt19937_64 random_;
  world world_;
  std::uint64_t typical_ = 200;   ///< operations of a life
  std::uint64_t directed_ = 0;
  std::string probed_story_;   ///< of a copy that failed
};

const std::array<schedule::named_kind, 12> schedule::kinds{{{"mixed", &schedule::mixed},
                                                      {"openings", &schedule::openings},
                                                      {"twins", &schedule::twins},
                                                      {"rolls", &schedule::rolls},
                                                      {"ends", &schedule::ends},
                                                      {"databases", &schedule::comings_and_goings},
                                                      {"faults", &schedule::faults},
                                                      {"full", &schedule::full_disks},
                                                      {"recycled", &schedule::recycled_logs},
                                                      {"missing", &schedule::missing_files},
                                                      {"mixed again", &schedule::mixed},
                                                      {"mixed once more", &schedule::mixed}}};

// Time passes with what is done, and at once when there is nothing to do.
bool schedule::run_context(asio::io_context& context, const std::function<bool()>& over) {
  using namespace std::chrono_literals;
  const auto begun = virtual_time::now();
  // Beyond what any life takes: a store that is busy with nothing comes to a standstill, too.
  constexpr std::uint64_t most_turns = 20'000'000;
  for (std::uint64_t turns = 0; !over() && !context.stopped(); ++turns) {
    if (virtual_time::works()) {
      if (turns == most_turns) break;
      virtual_time::advance(context.poll_one() != 0 ? 1us : 500us);
      if (virtual_time::now() - begun > 1h) break;
    } else if (context.run_one_for(1s) == 0 && virtual_time::now() - begun > 2min) {
      break;
    }
  }
  return over();
}

contrail::io::disk_options schedule::options(std::uint64_t seed) {
  contrail::io::disk_options out;
  out.seed = seed;
  out.short_transfers = any(2) == 0;
  out.patience = 3;
  return out;
}

life_plan schedule::plan() {
  life_plan p;
  p.writers = 1 + static_cast<unsigned>(any(4));
  p.transactions = 2 + static_cast<unsigned>(any(16));
  p.wide = any(6) == 0;
  if (p.wide) p.transactions *= 2;
  p.manager = any(3) == 0;
  const auto end = any(4);
  p.end = end == 0 ? term_mode::complete : end == 1 ? term_mode::dirty : term_mode::abrupt;
  return p;
}

// The life is lived on a copy first: then it is known where that is.
void schedule::crash_at(target what, life_plan p) {
  world_.vary();
  world probe = world_.twin();
  try {
    probe.live(p);
  } catch (...) {
    probed_story_ = probe.story();
    throw;
  }
  std::vector<std::uint64_t> found;
  for (const disk_event& e : probe.events()) {
    const std::uint64_t at = e.number - probe.begun_at();
    if (meets(e, at, what, probe.marks())) found.push_back(at);
  }
  if (what == target::first_batches && found.size() > 4) found.resize(4);
  if (found.empty()) {
    p.power_fails_after = 1 + any(typical_);
  } else {
    // Before it is done, after that, or after one more.
    const std::uint64_t at = found[any(found.size())];
    const auto how = any(4);
    p.power_fails_after = at + (how == 0 ? 0 : how == 1 ? 2 : 1);
    ++directed_;
  }
  world_.live(p);
}

void schedule::crash_somewhere() {
  life_plan p = plan();
  const auto kind = any(8);
  if (kind < 5) p.power_fails_after = 1 + any(typical_);
  else if (kind < 7) p.power_fails_after = 1 + any(40);   // opening, recovery, the first batches
  const std::uint64_t before = world_.disk().operations();
  if (live(p) == outcome::over) typical_ = std::max<std::uint64_t>(world_.disk().operations() - before, 50);
}

void schedule::mixed() {
  for (auto lives = 2 + any(4); lives != 0; --lives) crash_somewhere();
}

void schedule::openings() {
  crash_at(any(2) == 0 ? target::batch : target::page);
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    const auto what = any(5);
    if (what < 2) crash_at(target::opening);
    else if (what < 4) crash_at(target::first_batches);
    else crash_at(target::batch);
  }
}

void schedule::twins() {
  for (auto lives = 3 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.transactions = 1 + static_cast<unsigned>(any(6));
    const auto what = any(5);
    crash_at(what == 0 ? target::checkpoint : what < 3 ? target::header : target::header_opening, p);
  }
}

void schedule::rolls() {
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.rolls = true;
    if (any(3) == 0) crash_at(target::batch, p);
    else crash_at(target::log_files, p);
    if (any(2) == 0) world_.without_current_log();
  }
}

void schedule::ends() {
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.end = term_mode::complete;
    crash_at(target::ending, p);
    if (any(3) == 0) crash_at(target::opening);
  }
}

void schedule::comings_and_goings() {
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.manager = true;
    p.checkpoints = any(2) == 0;
    const auto what = p.checkpoints ? any(2) : 2 + any(4);
    crash_at(what == 0 ? target::checkpoint_meanwhile : what == 2 ? target::header : target::databases, p);
  }
}

// One thing fails, once or for a while.
void schedule::fault(life_plan& p) {
  disk_fault f;
  const auto kind = any(virtual_time::works() ? 9 : 4);
  if (kind < 2) {
    f.what = kind == 0 ? disk_request::write : disk_request::sync;
    f.path = "edb.log";
    f.nth = any(20);
  } else if (kind == 2) {
    f.what = disk_request::sync;
    f.path = "data";
    f.nth = any(16);
  } else if (kind == 3) {
    f.what = any(2) == 0 ? disk_request::write : disk_request::sync;
    f.path = "edb.chk";
    f.nth = any(4);
  } else if (kind == 4) {
    f.what = disk_request::rename;
    f.path = "edb";
    f.nth = any(3);
    p.rolls = true;
  } else if (kind == 5) {
    // What names were lost with it, a later one does not bring back: no process lives on with that.
    f.what = disk_request::sync_directory;
    f.nth = any(6);
    p.power_fails_if_died = p.rolls = true;
  } else if (kind == 6) {
    f.what = disk_request::read;
    f.path = "data";
    f.nth = any(10);
  } else {
    f.what = disk_request::write;
    f.path = "data";
    f.nth = any(30);
    f.lasting = any(3) == 0;
    if (any(2) == 0) p.mended_after = std::chrono::milliseconds(any(3000));
  }
  p.faults.push_back(f);
}

void schedule::faults() {
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.power_fails_if_died = any(2) == 0;
    if (any(4) == 0) {
      // What a sync that failed has left is shown to the next life, and lost when the power fails in that.
      disk_fault f;
      f.what = disk_request::sync;
      f.path = any(2) == 0 ? "data" : "edb.log";
      f.nth = any(10);
      p.faults.push_back(f);
      p.power_fails_if_died = false;
      live(p);
      crash_somewhere();
      continue;
    }
    if (any(5) == 0) {
      disk_fault f;
      f.nth = any(80);
      if (any(2) == 0) f.what = any(2) == 0 ? disk_request::write : disk_request::sync;
      p.faults_at_open.push_back(f);
      p.power_fails_if_died = true;
    } else {
      fault(p);
    }
    if (any(4) == 0) p.power_fails_after = 1 + any(typical_);
    live(p);
    if (any(3) == 0) crash_somewhere();
  }
}

void schedule::no_room(life_plan& p) {
  const auto kind = any(3);
  if (kind == 0) {
    p.room = any(600U << 10U);
  } else {
    for (const disk_request what : {disk_request::write, disk_request::allocate, disk_request::resize}) {
      disk_fault f;
      f.what = what;
      f.path = kind == 1 ? "edbtmp.log" : "data";
      f.lasting = true;
      f.error = std::make_error_code(std::errc::no_space_on_device);
      p.faults.push_back(f);
    }
  }
  if (any(3) != 0) p.mended_after = std::chrono::milliseconds(any(4000));
}

void schedule::full_disks() {
  if (!virtual_time::works()) return mixed();   // the store would try again for real seconds
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.rolls = any(2) == 0;
    p.power_fails_if_died = any(2) == 0;
    no_room(p);
    if (any(4) == 0) p.power_fails_after = 1 + any(2 * typical_);
    live(p);
    if (any(3) == 0) crash_somewhere();
  }
}

void schedule::recycled_logs() {
  world_.how().circular_logging = true;
  for (auto lives = 2 + any(3); lives != 0; --lives) {
    life_plan p = plan();
    p.writers = 1 + static_cast<unsigned>(any(2));
    p.recycle = virtual_time::works();
    p.circular = true;
    crash_at(any(3) == 0 ? target::log_files : target::batch, p);
    if (any(3) == 0) crash_at(target::opening);
  }
}

void schedule::missing_files() {
  for (auto lives = 1 + any(3); lives != 0; --lives) {
    const auto what = any(5);
    if (what == 0) {
      life_plan p = plan();
      p.end = term_mode::complete;
      if (live(p) == outcome::over) world_.new_log_set();
      continue;
    }
    if (any(2) == 0) crash_somewhere();
    else crash_at(target::databases);
    const auto which = static_cast<unsigned>(any(4));
    if (what == 1) world_.lose_database(which);
    else if (what == 2) world_.without_current_log();
    else world_.without_database(which);
  }
}

void schedule::clean_lives() {
  life_plan last;
  last.transactions = 1;
  last.end = term_mode::complete;
  live(last);
  live(last);
}

void schedule::happen() {
  const auto named = std::find_if(kinds.begin(), kinds.end(), [this](const auto& k) { return only_ == k.first; });
  const auto& chosen = named != kinds.end() ? *named : kinds[any(kinds.size())];
  (this->*chosen.second)();
  clean_lives();
}

pagestore_world::counts schedule::run() {
  try {
    happen();
  } catch (const std::exception& e) {
    throw pagestore_world::broken(e.what() + (probed_story_.empty() ? world_.story() : probed_story_));
  }
  pagestore_world::counts out = world_.sums();
  out.directed = directed_;
  return out;
}

}  // namespace

bool has_kind(const std::string& name) { return schedule::has_kind(name); }
pagestore_world::counts run(std::uint64_t seed, const std::string& only) { return schedule(seed, only).run(); }

}  // namespace schedules
