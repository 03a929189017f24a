#pragma once

#include <contrail/backup.hpp>
#include <contrail/io/simulated_disk.hpp>
#include <contrail/restore.hpp>
#include <contrail/sinks/directory.hpp>
#include <contrail/verify.hpp>
#include "common/pool_state.hpp"
#include "support/disk_engine.hpp"
#include "support/run.hpp"
#include "support/temp_directory.hpp"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// What the sweeps share: a disk with a source and a repository, one run at a time with something going wrong in it, and what must hold
/// afterwards whatever it was.
namespace sweep {

using contrail::io::crash_mode;
using contrail::io::disk_cancellation;
using contrail::io::disk_event;
using contrail::io::disk_fault;
using contrail::io::disk_request;
using contrail::io::simulated_disk;
using file_map = std::map<std::string, std::string>;

inline std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}
/// Every so manieth place only: CONTRAIL_SWEEP_STEP, else all; where sanitizers make it slow, fewer.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif
inline std::uint64_t step(std::uint64_t otherwise = sanitized ? 5 : 1) { return std::max<std::uint64_t>(environment("CONTRAIL_SWEEP_STEP", otherwise), 1); }
/// Seeds of each crash: CONTRAIL_SWEEP_SEEDS.
inline std::uint64_t crash_seeds(std::uint64_t otherwise) { return environment("CONTRAIL_SWEEP_SEEDS", otherwise); }
/// Rounds with troubles by chance: CONTRAIL_SWEEP_ROUNDS.
inline std::uint64_t rounds(std::uint64_t otherwise) { return environment("CONTRAIL_SWEEP_ROUNDS", otherwise); }
/// Of the disks, and of the first round: CONTRAIL_SWEEP_SEED.
inline std::uint64_t disk_seed() { return environment("CONTRAIL_SWEEP_SEED", 1); }

/// What is left after crash number `i` of a point: nothing unsynced, everything, then as a seed says.
inline crash_mode crash_of(std::uint64_t i) noexcept {
  if (i == 0) return crash_mode::worst;
  return i == 1 ? crash_mode::best : crash_mode::seeded;
}

/// For messages: what a cancellation does to an operation in flight.
inline const char* in_words(disk_cancellation in_flight) noexcept {
  return in_flight == disk_cancellation::stops ? ", stops it: " : ", too late: ";
}

/// Up to two faults anywhere among the first `operations`.
inline void add_troubles(simulated_disk& disk, std::mt19937_64& random, std::uint64_t operations) {
  for (std::uint64_t i = random() % 3; i > 0; --i) {
    disk_fault fault;
    fault.nth = random() % operations;
    fault.applied = random() % 4 == 0;
    disk.add(std::move(fault));
  }
}

/// What a sweep went through, when CONTRAIL_SWEEP_TALK is set.
inline void tell(const std::ostream& text) {
  if (environment("CONTRAIL_SWEEP_TALK", 0) == 0) return;
  const std::string words = dynamic_cast<const std::ostringstream&>(text).str();
  std::fprintf(stderr, "%s: %s\n", Catch::getResultCapture().getCurrentTestName().c_str(), words.c_str());
}

/// How a run ended.
struct result {
  result() = default;
  bool over = false;                   ///< false: the power failed, or the context went, before it was
  std::exception_ptr failure;
  bool good() const { return over && !failure; }
  std::error_code code() const {
    if (!failure) return {};
    try {
      std::rethrow_exception(failure);
    } catch (const std::system_error& e) {
      return e.code();
    } catch (...) {
      return std::make_error_code(std::errc::protocol_error);   // nothing else may be thrown
    }
  }
  std::string text() const {
    if (!over) return "did not end";
    if (!failure) return "success";
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      return e.what();
    }
  }
};

/// Where in a run something happens. Empty: nowhere.
struct moment {
  moment() = default;
  std::optional<std::uint64_t> power_fails_after;    ///< operations
  std::optional<std::uint64_t> cancelled_at_turn;
  std::optional<std::uint64_t> destroyed_at_turn;
  bool before_end = false;                           ///< out: the turn came while it ran
};

/// Runs the coroutine that `make(fs)` gives on a file system of its own. What it refers to must outlive the call, not the context.
template <typename Make>
result run_once(simulated_disk& disk, moment& when, Make make) {
  result out;
  auto context = std::make_unique<asio::io_context>(1);
  contrail::io::file_system fs = disk.mount(context->get_executor());
  asio::cancellation_signal signal;
  auto done = [&out](std::exception_ptr e) {
    out.over = true;
    out.failure = std::move(e);
  };
  if (when.power_fails_after) disk.halt_after(*when.power_fails_after, [c = context.get()] { c->stop(); });
  asio::co_spawn(asio::make_strand(context->get_executor()), make(fs), asio::bind_cancellation_slot(signal.slot(), std::move(done)));
  const std::optional<std::uint64_t> turns = when.cancelled_at_turn ? when.cancelled_at_turn : when.destroyed_at_turn;
  if (turns) {
    for (std::uint64_t i = 0; i < *turns && !out.over; ++i) context->run_one();
    when.before_end = !out.over;
  }
  if (when.cancelled_at_turn && !out.over) signal.emit(asio::cancellation_type::terminal);
  if (!when.destroyed_at_turn) context->run();
  context.reset();
  return out;
}

template <typename Make>
result run_plain(simulated_disk& disk, Make make) {
  moment none;
  return run_once(disk, none, std::move(make));
}

/// A disk with databases below /source and an empty place for everything else.
class bench {
 public:
  bench() {
    options.seed = disk_seed();
    options.patience = 3;
    plan.place = "/source";
    plan.databases.emplace_back("big", std::vector<std::string>{"big/one.db", "big/two.db"});
    plan.databases.emplace_back("small", std::vector<std::string>{"small.db"});
    plan.logs.emplace_back("log1");
    plan.announced = std::uint64_t{3} << 19;   // so much that room is taken for it
    contents["big/one.db"] = pattern_bytes(300'001, 1);
    contents["big/two.db"] = pattern_bytes(20'480, 2);
    contents["small.db"] = pattern_bytes(9'999, 3);
    contents["log1"] = pattern_bytes(5'000, 4);
  }

  simulated_disk fresh_disk() const {
    simulated_disk disk(options);
    for (const auto& [name, bytes] : contents) disk.write_file("/source/" + name, bytes);
    return disk;
  }

  /// backup() into /repo. The engine and the repository outlive the context.
  result back_up(simulated_disk& disk, moment& when, contrail::backup_report* report = nullptr) {
    layout = std::make_shared<disk_engine::layout>(plan);
    std::unique_ptr<disk_engine::engine> engine;
    std::unique_ptr<contrail::directory_repository> repo;
    contrail::backup_report got;
    const auto make = [&](contrail::io::file_system fs) {
      engine = std::make_unique<disk_engine::engine>(fs, layout);
      repo = std::make_unique<contrail::directory_repository>(fs, "/repo");
      return back_up_into(engine.get(), repo.get(), &got);
    };
    const result out = run_once(disk, when, make);
    if (report != nullptr) *report = got;
    return out;
  }
  result back_up(simulated_disk& disk, contrail::backup_report* report = nullptr) {
    moment none;
    return back_up(disk, none, report);
  }

  /// restore() of the newest set into `into`.
  result restore(simulated_disk& disk, moment& when, std::string into, bool overwrite, std::string set = "latest") {
    std::unique_ptr<contrail::directory_repository> repo;
    std::unique_ptr<disk_engine::restorer> with;
    std::unique_ptr<contrail::io::file_system> files;
    const auto make = [&](contrail::io::file_system fs) {
      files = std::make_unique<contrail::io::file_system>(fs);
      repo = std::make_unique<contrail::directory_repository>(fs, "/repo");
      with = std::make_unique<disk_engine::restorer>(fs);
      return restore_into(files.get(), repo.get(), with.get(), into, overwrite, set);
    };
    return run_once(disk, when, make);
  }

  /// verify() of all sets, with proof in /scratch.
  result verify(simulated_disk& disk, moment& when, contrail::verify_report* report) {
    std::unique_ptr<contrail::directory_repository> repo;
    std::unique_ptr<disk_engine::restorer> with;
    std::unique_ptr<disk_engine::registry> provers;
    std::unique_ptr<contrail::io::file_system> files;
    const std::filesystem::path scratch = "/scratch";
    contrail::verify_report got;
    const auto make = [&](contrail::io::file_system fs) {
      files = std::make_unique<contrail::io::file_system>(fs);
      repo = std::make_unique<contrail::directory_repository>(fs, "/repo");
      with = std::make_unique<disk_engine::restorer>(fs);
      provers = std::make_unique<disk_engine::registry>(*with);
      return verify_all(files.get(), repo.get(), provers.get(), &scratch, &got);
    };
    const result out = run_once(disk, when, make);
    if (report != nullptr) *report = got;
    return out;
  }

  std::vector<contrail::set_entry> list(simulated_disk& disk) {
    std::vector<contrail::set_entry> out;
    std::unique_ptr<contrail::directory_repository> repo;
    const auto make = [&](contrail::io::file_system fs) {
      repo = std::make_unique<contrail::directory_repository>(fs, "/repo");
      return list_all(repo.get(), &out);
    };
    const result got = run_plain(disk, make);
    if (got.failure) std::rethrow_exception(got.failure);
    return out;
  }

  /// Nothing of a run is left on the disk but files, and no buffer in anybody's hands: its context is gone, and so must be its pools.
  void check_idle(const simulated_disk& disk) const {
    CHECK(contrail::io::detail::pool_state::alive() == 0);
    CHECK(disk.open_files() == 0);
    CHECK(disk.held_locks() == 0);
    CHECK(disk.in_flight() == 0);
    if (layout != nullptr) {
      CHECK(layout->pins == 0);
      CHECK(layout->sources == 0);
    }
  }

  void check_source(const simulated_disk& disk) const {
    file_map found = disk.files("/source");
    found.erase("claim.lock");   // may stay where its removal failed
    CHECK((found == contents));
  }

  /// The files that a set of these databases gives back.
  file_map expected(const contrail::manifest& info) const {
    file_map out;
    for (const contrail::manifest_database& d : info.databases) {
      for (const disk_engine::database& known : plan.databases) {
        if (known.name != d.name) continue;
        for (const std::string& f : known.files) out[f] = contents.at(f);
      }
    }
    return out;
  }

  /// Every set that is listed verifies, and restores to the exact bytes. Returns how many there are.
  std::size_t check_repository(simulated_disk disk, const std::vector<std::string>& must_be_there);
  /// The next backup succeeds and leaves nothing but whole sets.
  void check_next_backup(simulated_disk disk);

  static asio::awaitable<void> back_up_into(disk_engine::engine* engine, contrail::directory_repository* repo,
                                            contrail::backup_report* report) {
    contrail::backup_options how;
    how.memory = std::size_t{1} << 20;
    how.lanes = 5;
    contrail::backup_report got = co_await contrail::backup(*engine, *repo, how);
    *report = std::move(got);
  }

  contrail::io::disk_options options;
  disk_engine::layout plan;
  file_map contents;
  disk_engine::layout_ptr layout;

 private:
  static asio::awaitable<void> restore_into(const contrail::io::file_system* files, contrail::directory_repository* repo,
                                            disk_engine::restorer* with, std::string into, bool overwrite, std::string set) {
    contrail::restore_options how;
    how.set = set;
    how.overwrite = overwrite;
    how.memory = std::size_t{4} << 20;
    how.files = files;
    const contrail::restore_report got = co_await contrail::restore(*repo, *with, into, how);
    (void)got;
  }
  static asio::awaitable<void> verify_all(const contrail::io::file_system* files, contrail::directory_repository* repo,
                                          contrail::restorer_registry* provers, const std::filesystem::path* scratch,
                                          contrail::verify_report* report) {
    contrail::verify_options how;
    how.memory = std::size_t{4} << 20;
    how.files = files;
    how.scratch = scratch;
    contrail::verify_report got = co_await contrail::verify(*repo, provers, how);
    *report = std::move(got);
  }
  static asio::awaitable<void> list_all(contrail::directory_repository* repo, std::vector<contrail::set_entry>* out) {
    std::vector<contrail::set_entry> got = co_await repo->list();
    *out = std::move(got);
  }
};

inline bool all_good(const contrail::verify_report& report) {
  for (const contrail::verify_entry& e : report.sets) {
    if (!e.damage.empty() || !e.proven) return false;
  }
  return !report.sets.empty();
}

inline std::string words(const contrail::verify_report& report) {
  std::string out;
  for (const contrail::verify_entry& e : report.sets) {
    out += e.set + (e.proven ? " proven" : " not proven");
    for (const contrail::file_damage& d : e.damage) out += "; " + d.file + ": " + d.what;
    out += "\n";
  }
  return out;
}

inline std::size_t bench::check_repository(simulated_disk disk, const std::vector<std::string>& must_be_there) {
  if (!disk.exists("/repo")) {
    CHECK(must_be_there.empty());
    return 0;
  }
  disk.make_directory("/scratch");
  const std::vector<contrail::set_entry> all = list(disk);
  for (const std::string& set : must_be_there) {
    const bool there = std::any_of(all.begin(), all.end(), [&](const contrail::set_entry& e) { return e.set == set; });
    INFO("set " << set);
    CHECK(there);
  }
  for (const contrail::set_entry& e : all) {
    INFO("set " << e.set << ": " << e.why);
    CHECK(e.status == contrail::set_status::complete);
  }
  if (all.empty()) return 0;
  moment none;
  contrail::verify_report report;
  const result verified = verify(disk, none, &report);
  INFO(verified.text() << "\n" << words(report));
  CHECK(verified.good());
  CHECK(all_good(report));
  CHECK(report.sets.size() == all.size());
  for (const contrail::set_entry& e : all) {
    if (e.info == nullptr) continue;
    const result restored = restore(disk, none, "/check-" + e.set, false, e.set);
    INFO("set " << e.set << ": " << restored.text());
    CHECK(restored.good());
    CHECK((disk.files("/check-" + e.set) == expected(*e.info)));
  }
  check_idle(disk);
  return all.size();
}

inline void bench::check_next_backup(simulated_disk disk) {
  contrail::backup_report report;
  const result next = back_up(disk, &report);
  INFO("next backup: " << next.text());
  CHECK(next.good());
  CHECK(report.failed_databases.empty());
  for (const std::string& name : disk.names("/repo")) {
    const std::string top = name.substr(0, name.find('/'));
    INFO(name);
    CHECK(contrail::is_set_id(top));
  }
  check_idle(disk);
  check_source(disk);
  check_repository(disk, {report.set});
}

/// What is worth trying with an operation of this kind.
inline std::vector<disk_fault> faults_for(const disk_event& event) {
  std::vector<disk_fault> out;
  const auto add = [&](std::errc error, bool applied) {
    disk_fault f;
    f.nth = event.number;
    f.error = std::make_error_code(error);
    f.applied = applied;
    out.push_back(std::move(f));
  };
  add(std::errc::io_error, false);
  switch (event.what) {
    case disk_request::write:
    case disk_request::allocate:
    case disk_request::make_directory: add(std::errc::no_space_on_device, false); break;
    case disk_request::open:
    case disk_request::lock:
      add(std::errc::too_many_files_open, false);
      if (event.creates) add(std::errc::no_space_on_device, false);
      break;
    case disk_request::sync_directory:
      add(std::errc::too_many_files_open, false);   // it loses nothing
      add(std::errc::io_error, true);
      break;
    case disk_request::rename:
    case disk_request::rename_new:
    case disk_request::remove:
    case disk_request::remove_all:
    case disk_request::sync:
    case disk_request::resize:
    case disk_request::release: add(std::errc::io_error, true); break;
    default: break;
  }
  return out;
}

/// A sync that is not done, and nobody is told: as if the code had forgotten it.
inline disk_fault forgotten(const disk_event& event) {
  disk_fault f;
  f.nth = event.number;
  f.error.clear();
  return f;
}

/// Another disk with the same content, everything durable.
inline simulated_disk copy_of(const simulated_disk& disk) { return disk.after_crash(crash_mode::best); }

inline std::string last_events(const simulated_disk& disk, std::size_t most = 12) {
  const std::vector<disk_event> log = disk.log();
  std::string out;
  for (std::size_t i = log.size() > most ? log.size() - most : 0; i < log.size(); ++i) out += to_string(log[i]) + "\n";
  return out;
}

}  // namespace sweep
