#pragma once

#include <contrail/engines/pagestore.hpp>
#include <contrail/error.hpp>
#include <contrail/io/simulated_disk.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

/// What a life of a store on a simulated disk is to be, and what is counted of it.
namespace pagestore_world {

using contrail::errc;
using namespace contrail::pagestore;

struct life_plan {
  unsigned writers = 3;
  unsigned transactions = 12;                       ///< of each writer
  bool wide = false;                                ///< they change many pages, of more than fit into a small cache
  bool manager = false;                             ///< databases come and go meanwhile
  bool rolls = false;                               ///< the log is rolled often
  bool checkpoints = false;                         ///< there are many rounds
  bool circular = false;                            ///< circular logging, whatever the store's varying parameters say
  bool recycle = false;                             ///< log files that are not needed any more become new ones
  std::optional<std::uint64_t> power_fails_after;   ///< operations of the disk, from the start of this life
  term_mode end = term_mode::abrupt;
  std::vector<contrail::io::disk_fault> faults;     ///< from when the store has opened
  std::vector<contrail::io::disk_fault> faults_at_open;
  std::optional<std::uint64_t> room;                ///< bytes that the disk still has
  std::optional<std::chrono::milliseconds> mended_after;
  bool power_fails_if_died = false;
  bool may_refuse = false;                          ///< something that it needs was taken away
};

enum class outcome : std::uint8_t { over, power_failed, died, refused };

/// What the store does between two numbers of disk operations, from the start of the life on.
enum class place : std::uint8_t { opening, attaching, creating, detaching, ending };
struct mark {
  place what = place::opening;
  std::uint64_t begin = 0, end = 0;
};

/// That schedules really do what they are to do.
struct counts {
  std::uint64_t lives = 0, commits = 0, crashes = 0, crashes_opening = 0, crashes_ending = 0, directed = 0;
  std::uint64_t torn_batches = 0, destroyed_copies = 0, stale_logs = 0, clean_headers = 0;
  std::uint64_t rounds = 0, rolls = 0, recycled = 0, evictions = 0;
  std::uint64_t creates = 0, attaches = 0, detaches = 0, clean_ends = 0;
  std::uint64_t faults = 0, failed_syncs = 0, died = 0, lived_on = 0, log_disk_full = 0, data_disk_full = 0, refused_opens_by_faults = 0;
  std::uint64_t absent_refused = 0, absent_skipped = 0, logs_removed = 0, logs_removed_refused = 0, new_log_sets = 0;
  std::uint64_t dropped = 0, put_back = 0;

  template <typename Each>
  void each(Each f) {   // (name, value)
    f("lives", lives), f("commits", commits), f("crashes", crashes), f("crashes while opening", crashes_opening);
    f("crashes while ending", crashes_ending), f("crashes at chosen places", directed), f("torn batches", torn_batches);
    f("destroyed copies of headers and checkpoints", destroyed_copies);
    f("logs with stale sectors", stale_logs), f("clean headers compared", clean_headers), f("rounds", rounds), f("rolls", rolls);
    f("recycled logs", recycled), f("lives with evictions", evictions), f("creates", creates), f("attaches", attaches);
    f("detaches", detaches), f("clean ends", clean_ends), f("faults", faults), f("failed syncs", failed_syncs);
    f("instances stopped by faults", died), f("instances that lived on", lived_on), f("answers -529", log_disk_full);
    f("answers -1808", data_disk_full), f("opens that faults ended", refused_opens_by_faults), f("absent databases refused", absent_refused);
    f("absent databases skipped", absent_skipped), f("current logs removed", logs_removed), f("of them refused", logs_removed_refused);
    f("new log sets", new_log_sets), f("databases dropped", dropped), f("copies put back", put_back);
  }
};

inline void vary(parameters& p, std::mt19937_64& random) {
  p.cache_size = random() % 2 == 0 ? 64 : 256;
  p.checkpoint_depth = p.log_file_size * (1 + random() % 3);
  p.circular_logging = random() % 2 == 0;
  p.lazy_delay = std::chrono::milliseconds(1 + random() % 10);
  p.group_delay = std::chrono::microseconds(random() % 4 == 0 ? 100 : 0);
  p.writes_in_flight = 1 + static_cast<std::uint32_t>(random() % 8);
}

inline parameters small_store(std::mt19937_64& random) {
  parameters p;
  p.directory = "/store";
  p.page_size = 4096;
  p.log_file_size = 128U << 10U;
  p.log_buffer = 64U << 10U;
  p.log_write_unit = random() % 4 == 0 ? 4096 : 512;
  p.growth = 16;
  vary(p, random);
  return p;
}

}  // namespace pagestore_world
