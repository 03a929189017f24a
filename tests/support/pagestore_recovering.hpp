#pragma once

#include "engines/pagestore/recovery/soft_recovery.hpp"
#include "support/pagestore_logs.hpp"
#include "support/sweep.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <utility>

/// Recoveries on a simulated disk.
namespace pagestore_logs {

using contrail::io::file_system;
using contrail::io::simulated_disk;

/// Where the next record would begin, when the last batch ends there.
inline ps::lgpos behind(std::uint32_t generation, std::uint32_t end) { return ps::make_lgpos(generation, end + 32); }

struct recovery_run {
  recovery_run() = default;
  sweep::result result;
  ps::recovery_outcome outcome;
};

inline asio::awaitable<void> recover_into(file_system fs, ps::parameters p, ps::recovery_outcome* out) {
  ps::recovery_outcome got = co_await ps::soft_recovery(fs, p);
  *out = std::move(got);
}

inline recovery_run recover(simulated_disk& disk, sweep::moment& when, const ps::parameters& p = how()) {
  recovery_run out;
  out.result = sweep::run_once(disk, when, [&](file_system fs) { return recover_into(fs, p, &out.outcome); });
  CHECK(disk.open_files() == 0);
  CHECK(disk.in_flight() == 0);
  return out;
}
inline recovery_run recover(simulated_disk& disk, const ps::parameters& p = how()) {
  sweep::moment none;
  return recover(disk, none, p);
}

/// The header in force, and whether both copies are equal.
inline ps::database_header header_of(const simulated_disk& disk, const std::string& path, bool* equal = nullptr) {
  const bytes file = raw(disk.read_file("/store/" + path));
  const auto first = ps::decode_header(ps::const_byte_span(file).first(4096));
  const auto second = ps::decode_header(ps::const_byte_span(file).subspan(4096, 4096));
  REQUIRE(first);
  if (equal != nullptr) *equal = second && *first == *second;
  return *first;
}

/// The file holds these pages, and is clean since `end`.
inline void check_recovered(const simulated_disk& disk, const known_database& s, const std::string& committed, ps::lgpos end, std::uint64_t dbtime) {
  INFO(s.what.path);
  bool equal = false;
  const ps::database_header header = header_of(disk, s.what.path, &equal);
  CHECK(equal);
  CHECK(header.state == ps::database_state::clean);
  CHECK(header.min_required == 0);
  CHECK(header.max_required == 0);
  CHECK(header.max_committed == 0);
  CHECK(header.dbtime == dbtime);
  CHECK(header.cleaned == end);
  CHECK(header.pages == s.header.pages);
  const std::string file = disk.read_file("/store/" + s.what.path);
  REQUIRE(file.size() == 8192 + committed.size());
  for (std::size_t at = 0; at < committed.size(); at += 4096) {
    if (file.compare(8192 + at, 4096, committed, at, 4096) == 0) continue;
    INFO("page " << at / 4096 + 1);
    CHECK(false);
    return;
  }
}
inline void check_recovered(const simulated_disk& disk, const scene& s, ps::lgpos end) {
  check_recovered(disk, s.one, s.one.committed(), end, s.one.dbtime);
  check_recovered(disk, s.two, s.two.committed(), end, s.two.dbtime);
}

/// Fails with this code, names this file, and leaves the disk as it was.
inline void check_refused(simulated_disk disk, contrail::errc code, const std::string& names, const ps::parameters& p = how()) {
  const auto before = disk.files();
  const recovery_run got = recover(disk, p);
  INFO(got.result.text());
  REQUIRE(got.result.over);
  CHECK(got.result.code() == code);
  std::string text = got.result.text();
  std::replace(text.begin(), text.end(), '\\', '/');   // as some systems write paths
  CHECK(text.find(names) != std::string::npos);
  CHECK((disk.files() == before));
}

}  // namespace pagestore_logs
