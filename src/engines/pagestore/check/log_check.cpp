#include <contrail/engines/pagestore/inspect.hpp>

#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/log/log_reader.hpp"

#include <contrail/error.hpp>

#include <utility>

namespace contrail::pagestore {

namespace {

/// Reads one generation to its end; its tail when all of it is right.
asio::awaitable<std::optional<log_tail>> read_through(io::file_system fs, store_facts of, std::uint32_t generation, std::optional<log_tail> previous,
                                                      std::function<void(const found_damage&)> damaged) {
  log_run run;
  run.lowest = of.first_generation;
  run.highest = of.last_generation;
  run.current = of.has_current;
  const std::filesystem::path path = log_path(of.how, run, generation);
  std::optional<log_tail> out;
  try {
    log_reader log = co_await log_reader::open(fs, path);
    log.expect_member(of.log, generation, of.how.page_size);
    if (previous) log.expect_after(*previous);
    while (true) {
      const bool more = co_await log.next();
      if (!more) break;
    }
    if (generation != of.last_generation && !log.tail().closed) {
      fail(errc::log_file_corrupt, "read log", log.name(), log.tail().end, "the end of the generation", "no further batch");
    }
    out = log.tail();
  } catch (const error& e) {
    found_damage d;
    d.file = e.details().file;
    d.offset = e.details().offset.value_or(0);
    d.what = e.what();
    damaged(d);
  }
  co_return out;
}

}  // namespace

asio::awaitable<std::uint32_t> check_logs(io::file_system files, store_facts of, std::function<void(const found_damage&)> damaged) {
  std::uint32_t good = 0;
  if (of.first_generation == 0) co_return good;
  std::optional<log_tail> previous;
  for (std::uint32_t g = of.first_generation; g <= of.last_generation; ++g) {
    std::optional<log_tail> tail = co_await read_through(files, of, g, previous, damaged);
    if (tail) ++good;
    previous = std::move(tail);
  }
  co_return good;
}

}  // namespace contrail::pagestore
