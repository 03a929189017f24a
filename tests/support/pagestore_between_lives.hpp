#pragma once

#include "support/pagestore_world.hpp"

/// What is done to the files between two lives of a store.
namespace pagestore_world {

inline void world::crash() {
  const std::vector<contrail::io::disk_event> before = events();
  const auto kind = random_() % 6;
  disk_.crash(kind == 0 ? crash_mode::worst : kind == 1 ? crash_mode::best : crash_mode::seeded, random_());
  destroy_copies(before);
  lose_name(before);
}

// Headers and checkpoints fit into a sector or a few, which this disk never tears: here one that was not synced may be neither old nor new.
inline void world::destroy_copies(const std::vector<contrail::io::disk_event>& before) {
  std::map<std::pair<std::string, std::uint64_t>, bool> unsynced;
  for (const contrail::io::disk_event& e : before) {
    const bool twins = e.path == "/store/edb.chk" || (e.path.rfind("/store/data", 0) == 0 && e.path.size() == path_of(0).string().size());
    if (!twins || e.error) continue;
    if (e.what == contrail::io::disk_request::write && e.offset < 2 * model_page_bytes) {
      unsynced[{e.path, e.offset / model_page_bytes}] = true;
    } else if (e.what == contrail::io::disk_request::sync) {
      for (const std::uint64_t copy : {0U, 1U}) unsynced[{e.path, copy}] = false;
    }
  }
  for (const auto& [which, is] : unsynced) {
    if (!is || any(2) == 0 || !disk_.exists(which.first)) continue;
    std::string content = disk_.read_file(which.first);
    const std::size_t at = which.second * model_page_bytes;
    if (content.size() < at + sector_bytes) continue;
    for (std::size_t i = 0; i < sector_bytes; ++i) content[at + i] = static_cast<char>(any(256));
    disk_.write_file(which.first, content);
    ++sums_.destroyed_copies;
    story_ += "\n  copy " + std::to_string(which.second) + " in " + which.first + " is destroyed";
  }
}

// The current log gets its number, the next one its name: this disk keeps them in their order, others need not. The second alone leaves the first
// log without any name.
inline void world::lose_name(const std::vector<contrail::io::disk_event>& before) {
  std::string numbered;
  bool both = false;
  for (const contrail::io::disk_event& e : before) {
    if (e.error) continue;
    if (e.what == contrail::io::disk_request::sync_directory) {
      numbered.clear();
      both = false;
    } else if (e.what == contrail::io::disk_request::rename && e.path == "/store/edb.log") {
      numbered = e.second;
    } else if (e.what == contrail::io::disk_request::rename && e.second == "/store/edb.log") {
      both = !numbered.empty();
    }
  }
  if (!both || any(2) == 0 || !disk_.exists(numbered) || !disk_.exists("/store/edb.log")) return;
  disk_.remove(numbered);
  story_ += "\n  of two renames the second reached the disk alone";
}

inline void world::without_database(unsigned i) {
  if (!disk_.exists(path_of(i))) return;
  const std::string kept = disk_.read_file(path_of(i));
  const raw_database there = look_at_database(kept);
  disk_.remove(path_of(i));
  story_ += "\n  database " + std::to_string(i) + " is put aside";
  life_plan plan;
  plan.may_refuse = true;
  plan.writers = 0;
  plan.end = term_mode::dirty;
  away_ = i;
  const bool made = std::exchange(entries_[i].made, false);
  away_content_.clear();
  if (there.header && there.header->state == database_state::clean) {
    for (const auto& [n, stamp] : there.pages) away_content_.emplace(key(i, n), stamp);
  }
  const outcome out = live(plan);
  away_content_.clear();
  const bool dirty = there.header && there.header->state == database_state::dirty;
  if (out == outcome::refused) ++sums_.absent_refused;
  if (out == outcome::over && dirty) throw broken("a store opens without a database that was in use: " + name_of(i));
  away_ = ~0U;
  entries_[i].made = made;
  disk_.write_file(path_of(i), kept);
}

inline void world::lose_database(unsigned i) {
  if (!disk_.exists(path_of(i))) return;
  disk_.remove(path_of(i));
  story_ += "\n  database " + std::to_string(i) + " is lost";
  model_.forget(i);
  entries_[i] = entry();
  how_.absent = absent_database::skip;
  life_plan plan;
  plan.writers = 1;
  plan.transactions = 3;
  away_ = i;
  plan.power_fails_after = any(300);
  const outcome first = live(plan);
  plan.power_fails_after.reset();
  if (first != outcome::over) live(plan);
  away_ = ~0U;
  how_.absent = absent_database::fail;
  ++sums_.absent_skipped;
}

inline void world::without_current_log() {
  if (!disk_.exists("/store/edb.log")) return;
  const std::map<std::string, std::string> kept = disk_.files("/store");
  disk_.remove("/store/edb.log");
  story_ += "\n  the current log is removed";
  ++sums_.logs_removed;
  life_plan plan;
  plan.may_refuse = true;
  plan.writers = 1;
  plan.transactions = 2;
  const outcome out = live(plan);
  if (out != outcome::refused) return;   // nothing was lost with it: the look says so
  ++sums_.logs_removed_refused;
  for (const auto& [name, content] : disk_.files("/store"))
    if (kept.count(name) == 0) disk_.remove(std::filesystem::path("/store") / name);
  for (const auto& [name, content] : kept) disk_.write_file(std::filesystem::path("/store") / name, content);
}

inline void world::new_log_set() {
  for (const auto& [name, content] : disk_.files("/store")) {
    const bool log = name.rfind("edb", 0) == 0 || name.rfind("/edb", 0) == 0;
    if (log) disk_.remove(std::filesystem::path("/store") / name);
  }
  story_ += "\n  logs and checkpoint are removed";
  ++sums_.new_log_sets;
}

}  // namespace pagestore_world
